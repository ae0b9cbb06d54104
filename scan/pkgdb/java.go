package pkgdb

func javaReaders() []reader { return nil }
