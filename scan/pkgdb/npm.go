package pkgdb

func npmReaders() []reader { return nil }
