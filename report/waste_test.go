package report_test

import (
	"testing"

	"github.com/org/image-budget/footprint"
	"github.com/org/image-budget/report"
)

// What a later line deletes is shipped by an earlier one, and that is the one to
// change: both are named, and what happened.
func TestWasteNamesBothLines(t *testing.T) {
	t.Parallel()
	r := rich(t)
	img := &r.Images[0]
	for i, line := range map[int]int{4: 12, 5: 14, 6: 20} {
		img.Head.Layers[i].Origin = &footprint.Origin{File: "Dockerfile", Start: line, End: line}
	}
	img.Head.Dead = []footprint.Dead{
		{In: 4, By: 6, Fate: footprint.Deleted, Bytes: 60_000_000, Files: 40, Under: "/var/lib/apt/lists"},
		{In: 5, By: 6, Fate: footprint.Replaced, Bytes: 10_000_000, Files: 1, Under: "/app/config"},
		{In: 3, By: 6, Fate: footprint.Rewritten, Bytes: 4_481_004, Files: 7, Under: "/app"},
	}
	img.Delta.Causes = nil
	for _, d := range img.Head.Dead {
		img.Delta.Causes = append(img.Delta.Causes, footprint.Cause{Bytes: d.Bytes, Metric: footprint.Unpacked, Path: d.Under, Fate: d.Fate, Change: footprint.Added, Layer: d.By})
	}
	wants(t, "check", terminal(t, r, report.TerminalOptions{Width: 140}), []string{
		"waste: /var/lib/apt/lists (of Dockerfile:12) deleted but still shipped  Dockerfile:20  RUN chown",
		"waste: /app/config (of Dockerfile:14) replaced but still shipped ", "waste: /app shipped again, unchanged ",
		"40 files in /var/lib/apt/lists, deleted\n            shipped by layer 4  Dockerfile:12  RUN npm ci\n            hidden by layer 6   Dockerfile:20  RUN chown",
		"1 file in /app/config, replaced\n", "7 files in /app, rewritten with the same content\n",
	}, nil)
	at := "https://github.com/acme/web/blob/9f8e7d6a5b4c39f8e7d6a5b4c39f8e7d6a5b4c39/Dockerfile#L"
	wants(t, "comment", markdown(t, r, comment), []string{
		"waste: `/var/lib/apt/lists` (of [`Dockerfile:12`](" + at + "12)) deleted but still shipped, by [`Dockerfile:20`](" + at + "20)",
		"| 40 files deleted | [`Dockerfile:12`](" + at + "12) `RUN npm ci` | [`Dockerfile:20`](" + at + "20) `RUN chown",
		"| 1 file replaced | [`Dockerfile:14`]", "| 7 files rewritten with the same content | `COPY package*.json ./` | [`Dockerfile:20`]",
	}, nil)
	// Of two lines that ship the same directory neither is blamed.
	img.Head.Dead[1].Under, img.Head.Dead[1].Fate = "/var/lib/apt/lists", footprint.Deleted
	wants(t, "two", terminal(t, r, report.TerminalOptions{Width: 140}), []string{"waste: /var/lib/apt/lists deleted but still shipped "}, nil)
	// Within the limit the table stays where it is asked for.
	wants(t, "fine", terminal(t, fine(t), report.TerminalOptions{}), nil, []string{"wasted:"})
}
