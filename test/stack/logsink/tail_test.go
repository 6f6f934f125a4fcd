package logsink

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// logFile is a file under a test's control and a tail that reads it.
type logFile struct {
	t    *testing.T
	path string
	tail tail
}

func newLogFile(t *testing.T, offset int64) *logFile {
	path := filepath.Join(t.TempDir(), "x.log")
	f := &logFile{t: t, path: path, tail: tail{path: path, offset: offset}}
	t.Cleanup(f.tail.close)
	return f
}

func (f *logFile) append(text string) {
	f.t.Helper()
	file, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := file.WriteString(text); err != nil {
		f.t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		f.t.Fatal(err)
	}
}

func (f *logFile) wantLines(want ...string) {
	f.t.Helper()
	var got []string
	if err := f.tail.poll(func(line []byte, _ bool) { got = append(got, string(line)) }); err != nil {
		f.t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		f.t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestTail_emits_whole_lines(t *testing.T) {
	t.Parallel()
	f := newLogFile(t, 0)
	f.wantLines() // not there yet
	f.append("one\ntw")
	f.wantLines("one")
	f.wantLines()
	f.append("o")
	f.wantLines()
	f.append("\n\n\nthree\n")
	f.wantLines("two", "three")
}

func TestTail_begins_at_an_offset(t *testing.T) {
	t.Parallel()
	f := newLogFile(t, 4)
	f.append("one\ntwo\n")
	f.wantLines("two")
	beyond := newLogFile(t, 100)
	beyond.append("new\n")
	beyond.wantLines("new") // the file that the offset was of is gone
}

func TestTail_survives_truncation(t *testing.T) {
	t.Parallel()
	f := newLogFile(t, 0)
	f.append("one\ntwo\npart of a li")
	f.wantLines("one", "two")
	if err := os.Truncate(f.path, 0); err != nil {
		t.Fatal(err)
	}
	f.append("new\n")
	f.wantLines("new")
}

func TestTail_survives_rotation(t *testing.T) {
	t.Parallel()
	f := newLogFile(t, 0)
	f.append("one\n")
	f.wantLines("one")
	if err := os.Rename(f.path, f.path+".1"); err != nil {
		t.Fatal(err)
	}
	old := &logFile{t: t, path: f.path + ".1"}
	old.append("two\n")
	f.wantLines("two") // still written to, and no new file yet
	old.append("three\nnever finished")
	f.append("four\n")
	f.wantLines("three", "four")
	f.append("five\n")
	f.wantLines("five")
}

func TestTail_cuts_long_lines(t *testing.T) {
	t.Parallel()
	f := newLogFile(t, 0)
	type piece struct {
		size int
		cut  bool
	}
	var got []piece
	emit := func(line []byte, cut bool) { got = append(got, piece{len(line), cut}) }
	f.append(strings.Repeat("a", maxLine) + "\n" + strings.Repeat("b", 2*maxLine) + "\nc\n" + strings.Repeat("d", maxLine+1))
	if err := f.tail.poll(emit); err != nil {
		t.Fatal(err)
	}
	f.append("\ne\n")
	if err := f.tail.poll(emit); err != nil {
		t.Fatal(err)
	}
	want := []piece{{maxLine, false}, {maxLine, true}, {maxLine, true}, {1, false}, {maxLine, true}, {1, true}, {1, false}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(piece{})); diff != "" {
		t.Errorf("pieces (-want +got):\n%s", diff)
	}
}

func TestTail_reports_what_it_cannot_read(t *testing.T) {
	t.Parallel()
	f := tail{path: t.TempDir()}
	defer f.close()
	if err := f.poll(func([]byte, bool) {}); err == nil || !strings.Contains(err.Error(), "read log "+f.path) {
		t.Errorf("error %v", err)
	}
}
