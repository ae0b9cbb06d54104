package cli

import (
	"path/filepath"
	"strings"
	"testing"
)

// The demo in small: history as BuildKit writes it, and the Dockerfile behind
// it. Reports name the line, with the word "about" where it was matched.
func TestReportsNameLinesOfTheDockerfile(t *testing.T) {
	t.Parallel()
	base := layer{"ADD rootfs.tar / # buildkit", map[string]string{"a": strings.Repeat("x", 1000)}}
	old := inLayout(t, image(t, base))
	head := inLayout(t, image(t, base,
		layer{"WORKDIR /app", map[string]string{"app/.keep": ""}},
		layer{"RUN /bin/sh -c npm ci # buildkit", map[string]string{"root/.npm/_cacache/b": strings.Repeat("y", 50_000)}}))
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "Dockerfile"), "# syntax=docker/dockerfile:1\nFROM node:20 AS build\nRUN make\n\nFROM node:20\nWORKDIR /app\nRUN \\\n  npm ci\n")
	config := write(t, filepath.Join(dir, "budget.yml"), "version: 1\nbaseline: image:"+old+"\nimages:\n  web:\n    image: "+head+"\n    base: "+old+"\n    limits: {unpacked: {max: 3kB}}\n")
	invoke(t, nil, "check", "--config", config, "--dockerfile", file).want(t, ExitOver, "Dockerfile:7")
	invoke(t, nil, "inspect", head, "--base", old, "--dockerfile", file, "--format", "json").want(t, ExitOK, `"start": 7`, `"end": 8`, `"exact": false`)
	invoke(t, nil, "check", "--config", config, "--dockerfile", file, "--target", "bild").want(t, ExitUsage, "build")
	invoke(t, nil, "check", "--config", config, "--dockerfile", file+".missing").want(t, ExitUsage, "there is no Dockerfile")
	invoke(t, nil, "check", "--config", config, "--target", "build").want(t, ExitUsage, "--dockerfile")
	broken := write(t, filepath.Join(dir, "Broken"), "FROM x\nRUNN y\n")
	invoke(t, nil, "check", "--config", config, "--dockerfile", broken).want(t, ExitUsage, "Broken:2")
}
