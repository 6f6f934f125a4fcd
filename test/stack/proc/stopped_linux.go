package proc

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// stopWithin is how long the kernel may take to stop a process.
const stopWithin = 5 * time.Second

// stopped reports whether all threads of a process stand still, or it is gone.
func stopped(pid int) bool {
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return false
	}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		// The state follows the name, which may hold anything (proc(5)).
		_, rest, found := bytes.Cut(text[bytes.LastIndexByte(text, ')'):], []byte(") "))
		if !found || len(rest) == 0 || rest[0] != 'T' && rest[0] != 'Z' {
			return false
		}
	}
	return true
}
