package footprint

// MaxDuplicates bounds [Image.Duplicates].
const MaxDuplicates = 100

// Duplicate is content that stands at several paths of the final filesystem,
// as copies and not as hard links. Two of a list may overlap: where a file
// exists in copies of a directory and elsewhere, its group counts those, too.
type Duplicate struct {
	// Bytes is what the copies beyond the first hold.
	Bytes Bytes `json:"bytes"`
	// Own is the part of Bytes that is above the base, all of it where the base
	// is not known. A copy in the base is the first.
	Own Bytes `json:"own"`
	// Dir is set where whole directories are the same.
	Dir bool `json:"dir"`
	// Files counts the regular files of one copy, hard links once, Copies the
	// copies.
	Files  int `json:"files"`
	Copies int `json:"copies"`
	// Paths are some of the copies, in path order; Layers are the layers that
	// brought each of them, or most of it: not one that only wrote it again.
	Paths  []string `json:"paths"`
	Layers []int    `json:"layers"`
}
