package pkgdb

func dpkgReaders() []reader { return nil }
