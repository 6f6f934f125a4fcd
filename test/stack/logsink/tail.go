package logsink

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxLine is where a longer line is cut into pieces, each a line of its own:
// GKE's container runtime does so (max_container_log_line_size = 262144 in a
// node's containerd configuration). A piece of full length is then too large for
// an entry, which the API refuses, so of such a line only the end arrives, as
// text: an event that long is lost on this path.
const maxLine = 256 << 10

// tail reads the lines of a file that grows, is replaced (rotation by rename)
// or begins anew (truncation). A file that is truncated and then outgrows its
// old size between two polls cannot be told from one that grew.
type tail struct {
	path   string
	file   *os.File
	offset int64 // of the next byte to read
	line   []byte
	cut    bool // line is what is left of a line that was cut
}

// poll emits every line that was completed since the last one. A file that does
// not exist (yet) has none. emit must not keep the line.
func (t *tail) poll(emit func(line []byte, cut bool)) error {
	for {
		if t.file == nil {
			opened, err := t.open()
			if !opened {
				return err
			}
		}
		if err := t.read(emit); err != nil {
			return err
		}
		again, err := t.moved(emit)
		if !again {
			return err
		}
	}
}

func (t *tail) open() (bool, error) {
	file, err := os.Open(t.path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("open log %s: %w", t.path, err)
	}
	if _, err := file.Seek(t.offset, io.SeekStart); err != nil {
		return false, errors.Join(fmt.Errorf("seek in log %s: %w", t.path, err), file.Close())
	}
	t.file = file
	return true, nil
}

// read takes all that the file holds now.
func (t *tail) read(emit func([]byte, bool)) error {
	chunk := make([]byte, 64<<10)
	for {
		n, err := t.file.Read(chunk)
		t.offset += int64(n)
		t.feed(chunk[:n], emit)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read log %s: %w", t.path, err)
		}
	}
}

// moved finds out whether the path now means another file, or the same begun
// anew, and if so gets ready to read it from its start.
func (t *tail) moved(emit func([]byte, bool)) (bool, error) {
	at, err := os.Stat(t.path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil // between rename and create: what is open may still grow
	}
	if err != nil {
		return false, fmt.Errorf("look at log %s: %w", t.path, err)
	}
	open, err := t.file.Stat()
	if err != nil {
		return false, fmt.Errorf("look at open log %s: %w", t.path, err)
	}
	if os.SameFile(at, open) {
		if open.Size() >= t.offset {
			return false, nil
		}
		if _, err := t.file.Seek(0, io.SeekStart); err != nil {
			return false, fmt.Errorf("seek in log %s: %w", t.path, err)
		}
	} else {
		// The writer may have written to the old file after the last read.
		if err := t.read(emit); err != nil {
			return false, err
		}
		t.close()
	}
	t.offset, t.line, t.cut = 0, nil, false
	return true, nil
}

// feed takes the next bytes of the file and emits the lines that they complete.
// Empty lines are nothing.
func (t *tail) feed(data []byte, emit func([]byte, bool)) {
	for len(data) > 0 {
		end := bytes.IndexByte(data, '\n')
		rest := data
		if end >= 0 {
			rest = data[:end]
		}
		t.line = append(t.line, rest...)
		for len(t.line) > maxLine {
			t.cut = true
			emit(t.line[:maxLine], true)
			t.line = append(t.line[:0], t.line[maxLine:]...)
		}
		if end < 0 {
			return
		}
		if len(t.line) > 0 {
			emit(t.line, t.cut)
		}
		t.line, t.cut = t.line[:0], false
		data = data[end+1:]
	}
}

func (t *tail) close() {
	if t.file != nil {
		_ = t.file.Close() // only read from
		t.file = nil
	}
}
