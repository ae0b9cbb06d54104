package actions

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// OwnLike gives a file or directory that we made to the owner of dir. A container action
// runs as root; on a self-hosted runner a root-owned file in the workspace makes the next
// checkout fail. An error says that the owner is as before, because path or dir cannot be
// opened or the change is not allowed; that is no reason to fail a run. Links and files
// with a second name are refused: they may belong to someone else.
func OwnLike(path, dir string) error {
	if err := ownLike(path, dir); err != nil {
		return fmt.Errorf("giving a file to the owner of the workspace: %w", err)
	}
	return nil
}

func ownLike(path, dir string) error {
	want, err := os.Stat(dir)
	if err != nil {
		return err
	}
	// The open file, not the name, is checked and changed. NONBLOCK: a pipe would wait.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	have, err := f.Stat()
	if err != nil {
		return err
	}
	owner, ok := want.Sys().(*syscall.Stat_t)
	file, ok2 := have.Sys().(*syscall.Stat_t)
	if !ok || !ok2 {
		return errors.New("the file system has no owners")
	}
	if !have.IsDir() && (!have.Mode().IsRegular() || file.Nlink > 1) {
		return fmt.Errorf("%q is a link or no regular file", have.Name())
	}
	if file.Uid == owner.Uid && file.Gid == owner.Gid {
		return nil
	}
	return f.Chown(int(owner.Uid), int(owner.Gid))
}
