//go:build !linux

package actions

// OwnLike does nothing and returns no error: container actions run on Linux only.
func OwnLike(path, dir string) error { return nil }
