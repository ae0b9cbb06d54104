package footprint

// The ecosystems, by the names that package URLs and budgets give them. Those
// of a system have one database for all of a filesystem, and own a file before
// all others do.
const (
	Dpkg     = "dpkg"
	Apk      = "apk"
	Rpm      = "rpm"
	Npm      = "npm"
	Python   = "python"
	Conda    = "conda"
	Gem      = "gem"
	Composer = "composer"
	Dotnet   = "nuget"
	Java     = "java"
	Golang   = "golang"
	Cargo    = "cargo"
)

// Ecosystems are those that packages are found of, those of a system first.
func Ecosystems() []string {
	return []string{Dpkg, Apk, Rpm, Npm, Python, Conda, Gem, Composer, Dotnet, Java, Golang, Cargo}
}

// OfSystem tells whether the ecosystem is that of an operating system.
func OfSystem(ecosystem string) bool {
	return ecosystem == Dpkg || ecosystem == Apk || ecosystem == Rpm
}

// Package is one installed package, all copies of one version together.
type Package struct {
	// Ecosystem is where it comes from, such as npm or dpkg; Name and Version
	// are as it is called there.
	Ecosystem string `json:"ecosystem"`
	Name      string `json:"name"`
	Version   string `json:"version"`
	// Bytes is what its files hold in the final filesystem, Own the part of it
	// above the base: all of it where the base is not known.
	Bytes Bytes `json:"bytes"`
	Own   Bytes `json:"own"`
	// Files counts the regular files that belong to it as a whole; a library
	// linked into a program has none.
	Files int `json:"files"`
	// Strippable is how much of its files debug sections and symbol tables are.
	Strippable Bytes `json:"strippable,omitempty"`
	// Layer is the index of the layer that brought most of it: not one that only
	// wrote it again, as chown does.
	Layer int `json:"layer"`
	// Path is the directory or file that holds its heaviest copy, "" for a
	// package of the system.
	Path string `json:"path,omitempty"`
	// Through names the package that somebody asked for and that needs this
	// one, "" if it was asked for itself, or if no database tells.
	Through string `json:"through,omitempty"`
	// Dev is set where it is needed for development only.
	Dev bool `json:"dev,omitempty"`
}

// Owner is whom a file belongs to: every regular file has exactly one. The zero
// Owner is nobody.
type Owner int32

// The owners that are no package.
const (
	// Unowned is a file that a command left behind and no package claims.
	Unowned Owner = 0
	// OfApplication is a file that no package claims and that COPY or ADD
	// brought above the base, whatever chowned it later.
	OfApplication Owner = -1
	// OfBase is a file that no package claims and that FROM brought.
	OfBase Owner = -2
)

// OwnedBy is the owner that stands for [Image.Packages] of that index.
func OwnedBy(index int) Owner { return Owner(index + 1) }

// Package returns the index in [Image.Packages], if the owner is a package.
func (o Owner) Package() (index int, ok bool) { return int(o) - 1, o > 0 }

// Rest sums the files that belong to no package, in bytes of the final
// filesystem, by [Owner].
type Rest struct {
	Base        Bytes `json:"base"`
	Application Bytes `json:"application"`
	Unowned     Bytes `json:"unowned"`
}

// Sum adds the rest up.
func (r Rest) Sum() Bytes { return r.Base + r.Application + r.Unowned }

// MaxSkipped bounds [Image.Skipped].
const MaxSkipped = 100

// Skipped is a file that could not be looked into.
type Skipped struct {
	// Path is absolute, and may hold any bytes.
	Path string `json:"path"`
	// Why says it in a few words, such as "larger than 64 MB".
	Why string `json:"why"`
	// Ecosystem is that whose packages may be missing because of it, "*" where it
	// may be any, and "" where only bytes are not known.
	Ecosystem string `json:"ecosystem,omitempty"`
}
