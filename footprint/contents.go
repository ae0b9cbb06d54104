package footprint

// ContentKind names a kind of content that a container seldom needs.
type ContentKind string

// The kinds of content.
const (
	// DebugInfo are the debug sections of ELF files, and files of nothing else.
	DebugInfo ContentKind = "debug-info"
	// SymbolTables are those that strip removes from ELF files.
	SymbolTables ContentKind = "symbol-tables"
	// SourceMaps map minified scripts and styles to what they were made of.
	SourceMaps ContentKind = "source-maps"
	// Bytecode is what Python compiles for itself, beside its source.
	Bytecode ContentKind = "bytecode"
	// StaticArchives are libraries that only a linker reads.
	StaticArchives ContentKind = "static-archives"
	// PackageCaches are what package managers keep of their downloads.
	PackageCaches ContentKind = "package-caches"
	// VersionControl are the histories of git and its kin.
	VersionControl ContentKind = "version-control"
	// Tests are the test suites of packages.
	Tests ContentKind = "tests"
	// Documentation are manuals, info pages and what is in /usr/share/doc.
	Documentation ContentKind = "documentation"
	// Locales are translations and language definitions.
	Locales ContentKind = "locales"
)

// Content sums one kind over the final filesystem.
type Content struct {
	Kind ContentKind `json:"kind"`
	// Bytes is the sum, Own the part of it above the base: all of it where the
	// base is not known.
	Bytes Bytes `json:"bytes"`
	Own   Bytes `json:"own"`
	// Files counts the regular files that have some.
	Files int `json:"files"`
	// Heaviest is the path of the file that has most of it.
	Heaviest string `json:"heaviest"`
}
