package footprint

// Surface is what an intruder would find to work with in the final filesystem.
// How many files are executable is in [Metrics].
type Surface struct {
	// Setuid are the files with the setuid or setgid bit, in path order, at most
	// [MaxSurface].
	Setuid []string `json:"setuid"`
	// Shells, PackageManagers and Compilers are paths of programs known by their
	// names, in path order, links to them included, at most [MaxSurface] each.
	Shells          []string `json:"shells"`
	PackageManagers []string `json:"package_managers"`
	Compilers       []string `json:"compilers"`
}

// MaxSurface bounds each list of a [Surface].
const MaxSurface = 100
