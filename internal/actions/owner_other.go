//go:build !linux

package actions

// OwnLike does nothing: container actions run on Linux only.
func OwnLike(path, dir string) error { return nil }
