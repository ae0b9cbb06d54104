package budget

import (
	_ "embed" // for the schema
	"slices"
)

//go:embed schema.json
var schema []byte

// Schema returns the JSON schema (draft 2020-12) of the budget file. Whatever
// [Parse] accepts is valid by it; contradictions between values are beyond it.
func Schema() []byte { return slices.Clone(schema) }
