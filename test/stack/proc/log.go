package proc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// ErrRace marks a log that holds a report of Go's race detector.
var ErrRace = errors.New("data race reported")

// raceReport is the first line of such a report.
const raceReport = "WARNING: DATA RACE"

// CheckLog returns ErrRace if the log at path holds a race report. A missing
// log is no error: the process never wrote one.
func CheckLog(path string) error {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read log %s: %w", path, err)
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewReader(file)
	for {
		line, err := lines.ReadBytes('\n')
		if bytes.Contains(line, []byte(raceReport)) {
			return fmt.Errorf("%w in %s", ErrRace, path)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read log %s: %w", path, err)
		}
	}
}

// tailBytes bounds how much of a log Tail reads from its end.
const tailBytes = 16 << 10

// Tail returns the last n lines of a log, "" when there is none. It is for
// messages to people, so what it cannot read it leaves out.
func Tail(path string, n int) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	if info, err := file.Stat(); err == nil && info.Size() > tailBytes {
		if _, err := file.Seek(-tailBytes, io.SeekEnd); err != nil {
			return ""
		}
	}
	data, err := io.ReadAll(file)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
