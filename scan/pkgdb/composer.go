package pkgdb

func composerReaders() []reader { return nil }
