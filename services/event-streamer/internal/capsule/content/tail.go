package content

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/redact"
)

const (
	// maxRead is how many bytes of a log are read at most. A log is asked for by
	// lines, and a line may be of any length.
	maxRead = 16 << 20
	// maxLine is how many bytes of one line are kept.
	maxLine = 4 << 10
)

// ErrTooLong says that the last lines of a log are too long to be read to their end.
var ErrTooLong = errors.New("its last lines are longer than 16 MiB; their end was not read")

// Tail is the end of a log, ready to be shown.
type Tail struct {
	Text string
	// Truncated says that there were lines before these.
	Truncated bool
}

// Raw is the end of a log as it was read. It may hold secrets.
type Raw struct {
	text  []byte
	cut   bool
	limit int
}

// Tail returns the last lines as they may be shown, at most so many. It costs CPU:
// about 1 ms for a KiB.
func (r *Raw) Tail(lines int) Tail {
	split, cut := strings.Split(strings.TrimRight(string(r.text), "\r\n"), "\n"), r.cut
	if n := len(split) - lines; n > 0 {
		split, cut = split[n:], true
	}
	text := strings.TrimRight(strings.Join(readable(split), "\n"), "\n")
	text, shortened := lastLines(text, r.limit)
	return Tail{Text: text, Truncated: cut || shortened}
}

// Read reads a log to its end and keeps its last whole lines, of at most limit
// bytes; it holds twice as many at a time. The first line, if cut, is dropped: half
// of it may be half a secret, which no pattern knows. On an error it also returns
// what was read until then.
func Read(r io.Reader, limit int) (*Raw, error) {
	buf, cut, err := last(r, limit)
	if cut {
		_, rest, found := bytes.Cut(buf, []byte("\n"))
		if buf = rest; !found {
			buf = []byte("[one line that is too long to be shown]")
		}
	}
	return &Raw{text: buf, cut: cut, limit: limit}, err
}

// last reads to the end and keeps the last limit bytes.
func last(r io.Reader, limit int) (buf []byte, cut bool, err error) {
	buf = make([]byte, 0, 2*limit)
	for total := 0; err == nil; {
		if len(buf) == cap(buf) {
			buf, cut = append(buf[:0], buf[len(buf)-limit:]...), true
		}
		var n int
		n, err = r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if total += n; err == nil && total > maxRead {
			err = ErrTooLong
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if len(buf) > limit {
		buf, cut = buf[len(buf)-limit:], true
	}
	return buf, cut, err
}

// escape is a sequence by which a program colours its output or moves the cursor.
var escape = regexp.MustCompile(`\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[ -/]*[0-~])`)

// readable makes lines what a person may see.
func readable(lines []string) []string {
	var secrets redact.Lines
	hidden := endOfKey(lines)
	for i, line := range lines {
		line = escape.ReplaceAllString(line, "")
		// A progress bar writes over its line again and again: a terminal shows the last.
		line = strings.TrimRight(line, "\r")
		line = line[strings.LastIndexByte(line, '\r')+1:]
		if line = secrets.Next(line); i < hidden && keyLine.MatchString(line) {
			line = redact.Mark
		}
		if len(line) > maxLine {
			line = job.Cut(line, maxLine) + " [...]"
		}
		lines[i] = line
	}
	return lines
}

// keyLine is a line that may be part of a private key.
var keyLine = regexp.MustCompile(`[A-Za-z0-9+/=]{40,}|^\s*[A-Za-z0-9+/=]+\s*$`)

// endOfKey is the index of a line that ends a private key whose beginning was
// cut off, 0 when there is none.
func endOfKey(lines []string) int {
	for i, line := range lines {
		switch {
		case !strings.Contains(line, "PRIVATE KEY"):
		case strings.Contains(line, "-----BEGIN "):
			return 0
		case strings.Contains(line, "-----END "):
			return i
		}
	}
	return 0
}

// lastLines returns the last whole lines of a text within limit bytes.
func lastLines(text string, limit int) (end string, cut bool) {
	if len(text) <= limit {
		return text, false
	}
	text = text[len(text)-limit:]
	_, rest, _ := strings.Cut(text, "\n")
	return rest, true
}
