package budget

import "testing"

func TestDesignExample(t *testing.T) {
	src := `version: 1
baseline: branch:image-budget        # file:PATH
images:
  web:                               # stable id
    build: {context: ., dockerfile: Dockerfile, target: runtime, args: {K: V}, platforms: [linux/amd64]}
    limits:
      compressed: {max: 120MB, warn: 100MB, growth: 5%}   # growth
      wasted: {max: 5MB}
      layers: {max: 20}
    own:                             # the same metrics without the base image
      compressed: {max: 40MB, growth: 1MB}
    paths:
      "/app/node_modules/**": {max: 80MB}
    packages:
      "npm:typescript": forbid       # ECOSYSTEM:NAME, globs allowed
    forbid: ["/usr/bin/gcc", "**/.git/**"]
    waivers:
      - {limit: limits.compressed.growth, until: 2026-12-31, reason: "one-off: new model weights"}
    smoke: {http: {port: 3000, path: /, body: "Hello"}, timeout: 30s}    # or  command: [...]
`
	f, err := Parse("x.yml", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", f)
	v := f.Images[0].Evaluate(Input{})
	for _, c := range v.Checks {
		t.Log(c.Limit, c.Status, c.Message)
	}
	_, err = Parse("x.yml", []byte("version: 1\nimages:\n  web:\n    image: a/b\n    limits:\n      compressed: {maxx: 12Mo, warn: 12Mo}\n"))
	t.Log("\n" + err.Error())
}
