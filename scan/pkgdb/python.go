package pkgdb

func pythonReaders() []reader { return nil }
