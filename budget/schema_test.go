package budget

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSchemaKeys holds the keys of parser and schema together.
func TestSchemaKeys(t *testing.T) {
	t.Parallel()
	var doc struct {
		Defs map[string]struct {
			Properties           map[string]any
			AdditionalProperties any
		} `json:"$defs"`
	}
	if err := json.Unmarshal(Schema(), &doc); err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"file": fileKeys, "image": imageKeys, "build": buildKeys, "limits": metricNames(), "bounds": boundKeys, "countBounds": boundKeys,
		"updateBounds": updateKeys, "growth": growthKeys, "gain": growthKeys[:2], "countGrowth": countKeys, "countGain": countKeys[:2], "waiver": waiverKeys, "secret": secretKeys, "smoke": smokeKeys, "http": httpKeys, "cost": costKeys,
	}
	for name, def := range doc.Defs {
		if len(def.Properties) == 0 {
			continue
		}
		if def.AdditionalProperties != false {
			t.Errorf("%s accepts unknown keys", name)
		}
		got := slices.Sorted(maps.Keys(def.Properties))
		if diff := cmp.Diff(slices.Sorted(slices.Values(want[name])), got); diff != "" {
			t.Errorf("%s (-parser +schema):\n%s", name, diff)
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("not in the schema: %v", want)
	}
}

// TestSchemaRefuses checks that the schema is not simply generous.
func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	schema := compiledSchema(t)
	for _, src := range []string{
		"version: 2\nimages: {a: {image: b}}", "version: 1\nimages: {}", "version: 1\nimages: {A: {image: b}}",
		"version: 1\nimages: {a: {}}", "version: 1\nimages: {a: {image: b, build: {context: .}}}",
		"version: 1\nimages: {a: {image: b, limits: {size: {max: 1}}}}", "version: 1\nimages: {a: {image: b, limits: {layers: {max: 1MB}}}}",
		"version: 1\nimages: {a: {image: b, limits: {final: {max: 1Mo}}}}", "version: 1\nimages: {a: {image: b, forbid: [x]}}",
		"version: 1\nimages: {a: {image: b, waivers: [{limit: x}]}}", "version: 1\nimages: {a: {image: b}}\nbaseline: x",
		"version: 1\nimages: {a: {build: {network: bridge}}}", "version: 1\nimages: {a: {build: {pull: 1}}}",
		"version: 1\nimages: {a: {build: {secrets: [{src: b}]}}}", "version: 1\nimages: {a: {build: {tags: b}}}", "version: 1\nimages: {a: {build: {nocache: true}}}",
		"version: 1\nimages: {a: {image: b, limits: {final: {growth: {percent: 5%}}}}}",
		"version: 1\nimages: {a: {image: b, limits: {final: {growth: {since-release: {percent: 5%}}}}}}",
		"version: 1\nimages: {a: {image: b, limits: {layers: {growth: {percent: 5%, bytes: 1}}}}}",
		"version: 1\nimages: {a: {image: b}}\ncost: {}", "version: 1\nimages: {a: {image: b}}\ncost: {bandwidth: 100}",
		"version: 1\nimages: {a: {image: b}}\ncost: {bandwidth: 1Gb/s}", "version: 1\nimages: {a: {image: b}}\ncost: {hosts: 1.5}",
		"version: 1\nimages: {a: {image: b, cost: {deploys-per-day: 0}}}", "version: 1\nimages: {a: {image: b, cost: {deploys: 1}}}",
	} {
		value, err := decodeAny([]byte(src))
		if err != nil {
			t.Fatal(err)
		}
		if schema.Validate(value) == nil {
			t.Errorf("valid: %s", src)
		}
	}
}

func TestSchemaIsACopy(t *testing.T) {
	t.Parallel()
	Schema()[0] = 'x'
	if Schema()[0] == 'x' {
		t.Error("a caller can change the schema")
	}
}
