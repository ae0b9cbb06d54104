package pkgdb

func rpmReaders() []reader { return nil }
