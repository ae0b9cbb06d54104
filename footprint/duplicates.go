package footprint

// MaxDuplicates bounds [Image.Duplicates].
const MaxDuplicates = 100

// Duplicate is content that stands at several paths of the final filesystem,
// as copies and not as hard links.
type Duplicate struct {
	// Bytes is what the copies beyond the first hold.
	Bytes Bytes `json:"bytes"`
	// Dir is set where whole directories are the same.
	Dir bool `json:"dir"`
	// Files counts the regular files of one copy, Copies the copies.
	Files  int `json:"files"`
	Copies int `json:"copies"`
	// Paths are some of the copies, in path order; Layers are the layers that
	// brought each of them, or most of it: not one that only wrote it again.
	Paths  []string `json:"paths"`
	Layers []int    `json:"layers"`
}
