package proc

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// ErrInUse says that another living process runs a stack in the directory.
var ErrInUse = errors.New("run directory is in use")

// Lock keeps a run directory for one process. The kernel drops it with the
// process, so it is never stale.
type Lock struct{ file *os.File }

// Acquire takes the lock of the run directory, which it creates.
func Acquire(dir string) (*Lock, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create run directory: %w", err)
	}
	path := filepath.Join(dir, "lock")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(path)
		_ = file.Close()
		return nil, fmt.Errorf("%w: process %s runs a stack in %s", ErrInUse, strings.TrimSpace(string(holder)), dir)
	}
	if err := errors.Join(file.Truncate(0), writeAt(file, fmt.Sprintf("%d\n", os.Getpid()))); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("write lock file: %w", err)
	}
	return &Lock{file: file}, nil
}

// Holder returns the pid of the living process that runs a stack in dir; false
// when there is none.
func Holder(dir string) (int, bool, error) {
	path := filepath.Join(dir, "lock")
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("open lock file: %w", err)
	}
	defer func() { _ = file.Close() }()
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err == nil {
		return 0, false, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false, fmt.Errorf("read lock file: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, false, fmt.Errorf("read lock file %s: %w", path, err)
	}
	return pid, true, nil
}

// Release gives the directory free.
func (l *Lock) Release() error { return l.file.Close() }

func writeAt(file *os.File, text string) error {
	_, err := file.WriteAt([]byte(text), 0)
	return err
}
