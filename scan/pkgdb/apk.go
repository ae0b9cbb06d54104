package pkgdb

func apkReaders() []reader { return nil }
