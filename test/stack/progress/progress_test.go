package progress

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPrinter_says_what_and_how_long(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := New(&out)
	now := time.Unix(1000, 0)
	p.now = func() time.Time { return now }
	err := p.Do(Step{Name: "quick", Usual: time.Second}, func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	err = p.Do(Step{Name: "slow", Usual: 7 * time.Second}, func() error {
		now = now.Add(6500 * time.Millisecond)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("lines: %q, want one for the quick step and two for the slow", lines)
	}
	if !strings.Contains(lines[1], "usually 7s") || !strings.Contains(lines[2], "6.5s") {
		t.Errorf("lines of the slow step: %q", lines[1:])
	}
}

func TestPrinter_failed_step_shows_the_end_of_its_log(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "part.log")
	if err := os.WriteFile(log, []byte("begin\n"+strings.Repeat("noise\n", 100)+"the reason\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cause := errors.New("exit status 1")
	err := New(&out).Do(Step{Name: "start it", Log: log}, func() error { return cause })
	if !errors.Is(err, cause) {
		t.Fatalf("error %v does not wrap its cause", err)
	}
	for _, want := range []string{"start it", log, "the reason"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q lacks %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "begin") {
		t.Error("the whole log is shown, want only its end")
	}
	if !strings.Contains(out.String(), "FAILED") {
		t.Errorf("output %q does not say that the step failed", out.String())
	}
}

func TestPrinter_live_line_is_drawn_and_cleared(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := New(&out)
	p.live = true
	err := p.Do(Step{Name: "outer", Usual: 5 * time.Second}, func() error {
		return p.Do(Step{Name: strings.Repeat("inner ", 30), Usual: time.Second}, func() error { return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.FieldsFunc(out.String(), func(r rune) bool { return r == '\r' || r == '\n' }) {
		if strings.Contains(line, "usually") && len([]rune(line)) > 79 {
			t.Errorf("a live line of %d columns would wrap: %q", len([]rune(line)), line)
		}
	}
	if !strings.Contains(out.String(), "\r  outer 0s (usually 5s)") && !strings.Contains(out.String(), "  outer 0s (usually 5s)") {
		t.Errorf("no live line in %q", out.String())
	}
	if p.width != 0 || p.stop != nil {
		t.Error("the live line is still there after the last step")
	}
}
