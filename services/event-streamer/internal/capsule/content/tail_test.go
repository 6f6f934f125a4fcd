package content

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/envision/resiliency/pkg/redact"
)

// readTail is what a pool does with a log.
func readTail(r io.Reader, lines, limit int) (Tail, error) {
	raw, err := Read(r, limit)
	return raw.Tail(lines), err
}

func TestTail(t *testing.T) {
	t.Parallel()
	many := make([]string, 50)
	for i := range many {
		many[i] = fmt.Sprintf("line %02d", i)
	}
	key := "-----BEGIN PRIVATE KEY-----\n" + strings.Repeat(strings.Repeat("MIIEvQ", 10)+"\n", 3) + "QQ==\n-----END PRIVATE KEY-----\n"
	_, half, _ := strings.Cut(key, "\n")
	cases := []struct {
		name, log    string
		lines, limit int
		want         string
		truncated    bool
	}{
		{"empty", "", 9, 99, "", false},
		{"whole", "a\nb\n", 9, 99, "a\nb", false},
		{"windows", "a\r\nb\r\n", 9, 99, "a\nb", false},
		{"last_lines", strings.Join(many, "\n") + "\n", 2, 999, "line 48\nline 49", true},
		{"last_bytes_whole_lines_only", strings.Join(many, "\n") + "\n", 99, 20, "line 48\nline 49", true},
		{"one_endless_line", strings.Repeat("token=abc", 99), 9, 64, "[one line that is too long to be shown]", true},
		{"control_characters", "a\x00b\x07\u202ec\n\xff\xfe\n", 9, 99, "abc\n\uFFFD", false},
		{"colours", "\x1b[1;31mERROR\x1b[0m it \x1b]0;title\x07broke\n", 9, 99, "ERROR it broke", false},
		{"secret_in_colours", "pass\x1b[0mword=hunter2\n", 9, 99, "password=REDACTED", false},
		{"progress_bar", " 10%\r 50%\r100%\rdone in 3 s\r\nnext\n", 9, 99, "done in 3 s\nnext", false},
		{"secret", "login with password=hunter2 ok\n", 9, 99, "login with password=REDACTED ok", false},
		{"key", "a\n" + key + "b\n", 20, 999, "a" + strings.Repeat("\nREDACTED", 6) + "\nb", false},
		{"key_without_its_beginning", "2026 started\n" + half + "b\n", 20, 999, "2026 started" + strings.Repeat("\nREDACTED", 4) + "\n-----END PRIVATE KEY-----\nb", false},
		{"long_line", strings.Repeat("x", 5000) + "\n", 9, 9999, strings.Repeat("x", maxLine) + " [...]", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := readTail(iotest.OneByteReader(strings.NewReader(c.log)), c.lines, c.limit)
			if err != nil {
				t.Fatal(err)
			}
			if got.Text != c.want || got.Truncated != c.truncated {
				t.Errorf("got %q, truncated %t\nwant %q, truncated %t", got.Text, got.Truncated, c.want, c.truncated)
			}
		})
	}
}

// What was read before an error is worth having: a node that dies mid-sentence.
func TestTail_broken(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection reset")
	got, err := readTail(io.MultiReader(strings.NewReader("a\nb\n"), iotest.ErrReader(broken)), 9, 99)
	if !errors.Is(err, broken) || got.Text != "a\nb" {
		t.Errorf("got %q, %v", got.Text, err)
	}
	got, err = readTail(&endless{}, 9, 99)
	if !errors.Is(err, ErrTooLong) || len(got.Text) > 99 {
		t.Errorf("got %q, %v", got.Text, err)
	}
}

type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		if p[i] = 'x'; (e.read+i)%80 == 0 {
			p[i] = '\n'
		}
	}
	e.read += len(p)
	return len(p), nil
}

// Whatever a container writes, what comes out is short, valid and holds no secret
// that was in it as a whole.
func TestTail_anything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var log strings.Builder
		parts := rapid.SliceOf(rapid.OneOf(
			rapid.String(), rapid.SampledFrom([]string{"\n", "\r", "\r\n", "\x1b[0m", "\xff", "\u2028", strings.Repeat("y", 300), "password=hunter2\n", "\n-----END PRIVATE KEY-----\n"}),
		)).Draw(t, "log")
		for _, p := range parts {
			log.WriteString(p)
		}
		lines, limit := rapid.IntRange(1, 20).Draw(t, "lines"), rapid.IntRange(1, 500).Draw(t, "limit")
		got, err := readTail(strings.NewReader(log.String()), lines, limit)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case len(got.Text) > limit:
			t.Fatalf("%d bytes, want at most %d", len(got.Text), limit)
		case !utf8.ValidString(got.Text), redact.Clean(got.Text) != got.Text:
			t.Fatalf("%q is not clean", got.Text)
		case strings.Contains(got.Text, "hunter2"):
			t.Fatalf("%q holds a secret", got.Text)
		}
	})
}

func BenchmarkTail(b *testing.B) {
	var log strings.Builder
	for i := 0; log.Len() < 1<<20; i++ {
		fmt.Fprintf(&log, "2026-03-02T12:00:%02dZ INFO worker %d: batch %d of 900, key=value, 3.1 GiB of memory in use\n", i%60, i%8, i)
	}
	b.SetBytes(64 << 10)
	for b.Loop() {
		if _, err := readTail(strings.NewReader(log.String()), 1000, 64<<10); err != nil {
			b.Fatal(err)
		}
	}
}
