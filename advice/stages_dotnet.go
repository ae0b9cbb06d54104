package advice

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/org/image-budget/footprint"
)

// planDotnet plans the runtime of an application that dotnet publish made.
func planDotnet(ctx context.Context, p *project) (*proposal, error) {
	if path.Base(p.program.exec.Path) != "dotnet" {
		return nil, nil
	}
	argv := p.program.argv
	if len(argv) < 2 || !strings.HasSuffix(strings.ToLower(argv[1]), ".dll") {
		return unsure("Only dotnet NAME.dll is followed: dotnet run needs the SDK. Publish the application, and run what is published."), nil
	}
	c, refusal, err := p.interpreted(ctx)
	if c == nil {
		return refusal, err
	}
	dll, _, ok := p.tree.follow(absolute(p.dir, argv[1]))
	if !ok || !p.isOwn(dll) {
		return unsure(fmt.Sprintf("%s, which dotnet is to run, is not what the lines built.", absolute(p.dir, argv[1]))), nil
	}
	dir, name := path.Dir(dll.Path), strings.TrimSuffix(dll.Path, path.Ext(dll.Path))
	config, err := p.contents(ctx, p.tree, name+".runtimeconfig.json")
	if err != nil {
		return nil, err
	}
	kind, version := dotnetRuntime(config)
	switch {
	case kind == "":
		return unsure(fmt.Sprintf("%s.runtimeconfig.json, which says what runtime it needs, cannot be read.", name)), nil
	case shared(dir) || slices.ContainsFunc(p.tree.below(dir), func(f footprint.File) bool { return strings.HasSuffix(f.Path, ".csproj") }):
		return unsure(fmt.Sprintf("The application is published between other files, in %s. Publish it to a directory of its own with dotnet publish -o.", dir)), nil
	case path.Base(dir) != "publish" && strings.Contains(dir, "/bin/"):
		return unsure(fmt.Sprintf("%s was built and not published, so it may load packages from elsewhere. Run dotnet publish, and start what it published.", dll.Path)), nil
	}
	c.drop = func(f string) bool {
		return within(f, dir) || strings.Contains(f, "/obj/") || strings.Contains(f, "/bin/")
	}
	c.collect()
	c.assets = append(c.assets, copied{from: []string{dir}, to: dir, chown: c.ownerOf(dir), why: "The published application."})
	c.tools = slices.DeleteFunc(c.tools, func(t footprint.File) bool { return !p.isOwn(t) })
	out := &proposal{}
	if ref := aspnetOf(p.baseName(), kind, version); ref != "" && p.exists(ctx, ref) {
		if on := c.onRuntime(runtimeBase{ref: ref, same: true}, false, nil); on != nil {
			// The SDK takes settings of the runtime back, so they are written out.
			on.inherits = false
			c.rebase(on, func(f footprint.File) bool {
				return within(f.Path, "/usr/share/dotnet/shared") || within(f.Path, "/usr/share/dotnet/host") || f.Path == "/usr/share/dotnet/dotnet"
			})
			on.name, on.why = "on "+strings.TrimPrefix(ref, "mcr.microsoft.com/"), "The application is published above. To run, it needs .NET without the SDK."
			out.plans = append(out.plans, *on)
		}
	}
	if on := c.onRuntime(p.sameBase(), false, nil); on != nil {
		out.plans = append(out.plans, *on)
	}
	if len(out.plans) == 0 {
		return unsure("No image is known that has what the application needs to run: " + c.needs() + "."), nil
	}
	for i := range out.plans {
		out.plans[i].notes = append(out.plans[i].notes, c.notes...)
	}
	return out, nil
}

// dotnetRuntime is what a runtimeconfig.json asks for: "aspnet" or "runtime",
// and the version as 8.0; "" where it asks for none that is known.
func dotnetRuntime(text []byte) (kind, version string) {
	type framework struct{ Name, Version string }
	var config struct {
		RuntimeOptions struct {
			Framework  framework
			Frameworks []framework
		}
	}
	if len(text) > 1<<20 || json.Unmarshal(text, &config) != nil {
		return "", ""
	}
	for _, f := range append(config.RuntimeOptions.Frameworks, config.RuntimeOptions.Framework) {
		found := regexp.MustCompile(`^[0-9]{1,2}\.[0-9]{1,2}`).FindString(f.Version)
		switch {
		case found == "":
		case f.Name == "Microsoft.AspNetCore.App":
			return "aspnet", found
		case f.Name == "Microsoft.NETCore.App":
			kind, version = "runtime", found
		}
	}
	return kind, version
}

// aspnetOf is the image with the runtime beside that of an SDK, "" if it is not
// known.
func aspnetOf(ref, kind, version string) string {
	ref, _, _ = strings.Cut(ref, "@")
	repo, tag, _ := strings.Cut(ref, ":")
	if repo != "mcr.microsoft.com/dotnet/sdk" {
		return ""
	}
	// The SDK counts its versions otherwise: 8.0.404 is of 8.0.
	parts := regexp.MustCompile(`^([0-9]{1,2}\.[0-9]{1,2})(\.[0-9]+)?(-[a-z0-9.-]+)?$`).FindStringSubmatch(tag)
	if parts == nil || parts[1] != version {
		return ""
	}
	return "mcr.microsoft.com/dotnet/" + kind + ":" + version + parts[3]
}
