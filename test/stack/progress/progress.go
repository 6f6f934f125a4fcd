// Package progress tells a person what a long run does: what, how long so far,
// and how long it usually takes. On a terminal the running steps are one live
// line; elsewhere each step is one line at its end, and one at its start if it
// takes long.
//
// It never decides anything: a step's error is shown and handed back.
package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-isatty"

	"github.com/envision/resiliency/test/stack/proc"
)

// tailLines is how many lines of its log a failed step shows.
const tailLines = 12

// Step is one thing that takes time.
type Step struct {
	// Name says what is done, as a person would.
	Name string
	// Usual is how long it takes on an ordinary machine.
	Usual time.Duration
	// Log is the file that a failure names; may be empty.
	Log string
}

// Printer shows steps, also several at once. Use New.
type Printer struct {
	out  io.Writer
	live bool
	now  func() time.Time

	mu      sync.Mutex
	running []*running
	stop    chan struct{} // ends the live line's refresh; nil while nothing runs
	width   int
}

type running struct {
	Step
	since time.Time
}

// New returns a printer to out; a nil out discards everything.
func New(out io.Writer) *Printer {
	p := &Printer{out: out, now: time.Now}
	if out == nil {
		p.out = io.Discard
	}
	if file, ok := out.(*os.File); ok {
		p.live = isatty.IsTerminal(file.Fd())
	}
	return p
}

// Printf writes one line of its own.
func (p *Printer) Printf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line(fmt.Sprintf(format, args...))
	p.draw()
}

// Do runs work as a step and returns its error, completed by the step's name
// and its log's name and last lines.
func (p *Printer) Do(step Step, work func() error) error {
	r := p.begin(step)
	err := work()
	return p.end(r, err)
}

func (p *Printer) begin(step Step) *running {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := &running{Step: step, since: p.now()}
	p.running = append(p.running, r)
	switch {
	case !p.live && step.Usual >= 5*time.Second:
		p.line(fmt.Sprintf("  %s ... (usually %s)", step.Name, step.Usual))
	case p.live && p.stop == nil:
		p.stop = make(chan struct{})
		go p.refresh(p.stop)
	}
	p.draw()
	return r
}

func (p *Printer) end(r *running, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, other := range p.running {
		if other == r {
			p.running = append(p.running[:i], p.running[i+1:]...)
			break
		}
	}
	if len(p.running) == 0 && p.stop != nil {
		close(p.stop)
		p.stop = nil
	}
	took := p.now().Sub(r.since).Round(100 * time.Millisecond)
	if err == nil {
		p.line(fmt.Sprintf("  %-44s %6.1fs", r.Name, took.Seconds()))
		p.draw()
		return nil
	}
	p.line(fmt.Sprintf("  %-44s %6.1fs  FAILED", r.Name, took.Seconds()))
	p.draw()
	return Failure(r.Step, err)
}

// Failure adds the step's name and its log to an error.
func Failure(step Step, err error) error {
	if step.Log == "" {
		return fmt.Errorf("%s: %w", step.Name, err)
	}
	tail := proc.Tail(step.Log, tailLines)
	if tail == "" {
		return fmt.Errorf("%s: %w (log: %s)", step.Name, err, step.Log)
	}
	return fmt.Errorf("%s: %w\nlog: %s, its last lines:\n%s", step.Name, err, step.Log, tail)
}

func (p *Printer) refresh(stop chan struct{}) {
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			p.mu.Lock()
			p.draw()
			p.mu.Unlock()
		}
	}
}

// line and draw are called with the lock held.
func (p *Printer) line(text string) {
	p.clear()
	_, _ = fmt.Fprintln(p.out, text)
}

func (p *Printer) clear() {
	if p.width > 0 {
		_, _ = fmt.Fprintf(p.out, "\r%s\r", strings.Repeat(" ", p.width))
		p.width = 0
	}
}

func (p *Printer) draw() {
	if !p.live {
		return
	}
	p.clear()
	if len(p.running) == 0 {
		return
	}
	parts := make([]string, 0, len(p.running))
	for _, r := range p.running {
		elapsed := p.now().Sub(r.since).Seconds()
		parts = append(parts, fmt.Sprintf("%s %.0fs (usually %s)", r.Name, elapsed, r.Usual))
	}
	// 79 columns: a longer line would wrap and could not be cleared.
	text := []rune("  " + strings.Join(parts, " · "))
	if len(text) > 79 {
		text = append(text[:78], '…')
	}
	p.width = len(text)
	_, _ = fmt.Fprint(p.out, string(text))
}
