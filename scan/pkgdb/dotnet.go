package pkgdb

func dotnetReaders() []reader { return nil }
