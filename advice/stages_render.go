package advice

import (
	"bytes"
	"fmt"
	"strings"
)

// render writes a plan out: the author's lines as the build stage, and the
// runtime stage after them.
func (p *project) render(plan plan) Candidate {
	var out bytes.Buffer
	out.Write(p.file.Src)
	for _, line := range plan.prepare {
		fmt.Fprintln(&out, line)
	}
	fmt.Fprintf(&out, "\n# %s\nFROM %s\n", plan.why, plan.base)
	for _, line := range plan.run {
		fmt.Fprintln(&out, line)
	}
	for _, c := range plan.copies {
		fmt.Fprintf(&out, "COPY --from=%s %s %s\n", p.build, strings.Join(c.from, " "), c.to)
	}
	for _, line := range plan.after {
		fmt.Fprintln(&out, line)
	}
	return Candidate{Name: plan.name, Dockerfile: out.Bytes(), Notes: plan.notes}
}
