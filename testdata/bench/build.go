package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
)

const (
	docker   = "/usr/bin/docker" // with buildx, by .ci/peers
	buildkit = "unix:///run/ib/buildkitd.sock"
	held     = 1.3
)

// builds measures what a check adds to a build that changes nothing: buildx
// with everything in its cache, against a second check that builds the same
// image in the same place and has measured it before.
func builds(args []string) error {
	flags := flag.NewFlagSet("build", flag.ContinueOnError)
	n := flags.Int("rounds", 15, "how many `rounds` to take the median of")
	only := flags.String("only", "", "theirs: leave ours out")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "image-budget-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	tool := filepath.Join(dir, "image-budget")
	if text, err := exec.Command("go", "build", "-o", tool, ".").CombinedOutput(); err != nil {
		return fmt.Errorf("building image-budget: %s", text)
	}
	// buildx keeps its builders there, so that the user's stay as they are.
	buildx := []string{"env", "BUILDX_CONFIG=" + filepath.Join(dir, "buildx")}
	create := slices.Concat(buildx, []string{docker, "buildx", "create", "--name", "remote", "--driver", "remote", buildkit})
	if text, err := exec.Command(create[0], create[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("making a builder: %w: %s", err, text)
	}
	fmt.Printf("%d processors, %s, medians of %d alternating rounds: an unchanged second check of a build, against the cached docker buildx build alone\nheld to: at most %.1f times the time\n\n",
		runtime.NumCPU(), runtime.Version(), *n, held)
	fmt.Printf("%-12s %-44s %10s %10s %8s\n", "project", "built by", "buildx", "check", "ratio")
	kept := true
	for _, project := range []struct{ name, context, dockerfile string }{
		{"my-web-app", "testdata/seed/my-web-app", "Dockerfile"},
		{"unoptimized", "testdata/seed/my-web-app", "Dockerfile.unoptimized"},
		{"image-budget", ".", "Dockerfile"},
	} {
		context, err := filepath.Abs(project.context) // a budget file's own are relative to it
		if err != nil {
			return err
		}
		config := filepath.Join(dir, project.name+".yml")
		text := fmt.Sprintf("version: 1\nimages:\n  app:\n    build: {context: %q, dockerfile: %q}\n    limits:\n      unpacked: {max: 1GB}\n",
			context, project.dockerfile)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			return err
		}
		for _, place := range []struct {
			name, host      string
			builder, result []string // of buildx
		}{
			{"Docker 20.10, into its images", engine20, nil, []string{"--tag", "ib/bench:1"}},
			{"Docker 29, into its images", engine29, nil, []string{"--tag", "ib/bench:1"}},
			{"buildkitd, result dropped", "", []string{"--builder", "remote"}, nil},
			{"buildkitd, result saved as an archive", "", []string{"--builder", "remote"}, []string{"--output", "type=oci,dest=" + filepath.Join(dir, "out.tar")}},
		} {
			theirs := slices.Concat(buildx, []string{"DOCKER_HOST=" + place.host, docker, "buildx", "build", "--file", filepath.Join(context, project.dockerfile)},
				place.builder, place.result, []string{context})
			ours := []string{"env", "DOCKER_HOST=" + place.host, tool, "check", "--config", config, "--cache", filepath.Join(dir, "cache")}
			if place.builder != nil {
				ours = append(ours, "--builder", buildkit)
			}
			if *only == "theirs" {
				ours = []string{"true"}
			}
			a, b, err := alternate(*n, ours, theirs)
			if err != nil {
				return err
			}
			ratio := a.seconds / b.seconds
			kept = kept && ratio <= held
			fmt.Printf("%-12s %-44s %8.3f s %8.3f s %8.2f\n", project.name, place.name, b.seconds, a.seconds, ratio)
		}
	}
	if !kept {
		return fmt.Errorf("a check takes more than %.1f times as long as the build alone", held)
	}
	return nil
}
