package jobs

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// While Pub/Sub confirms nothing, product code is never held up, what does not fit
// is dropped, counted and told of once, and a claim still finds room.
func TestSender_OutageHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	const room = 16
	reg := prometheus.NewRegistry()
	b := newBench(t, func(c *Config) { c.Buffer, c.Registerer = room, reg })
	b.pubsub.held = make(chan struct{})
	j, err := b.Join(t.Context(), Ref{JobID: "j"})
	if err != nil {
		t.Fatal(err)
	}
	const phases = 5000
	for range phases {
		j.Phase(t.Context(), "busy")
	}
	j.Fail(t.Context(), Cause{Message: "the end must get through"})
	// A buffer's worth is on its way, another one waits, one is in the worker's hand.
	if dropped := b.Dropped(); dropped < phases-3*room || dropped > phases-room {
		t.Errorf("%d of %d events dropped, with room for %d", dropped, phases, 2*room)
	}
	if said := strings.Count(b.log.String(), "events about jobs are dropped"); said < 1 || said > 2 { // once a path
		t.Errorf("said %d times:\n%s", said, b.log.String())
	}
	b.pubsub.mu.Lock()
	close(b.pubsub.held)
	b.pubsub.held = nil
	b.pubsub.mu.Unlock()
	sent := b.flush(t)
	last := sent[len(sent)-1]
	if e, ok := last.(*resiliencyv1.JobEvent); !ok || e.GetStatusObserved().GetCause().GetMessage() != "the end must get through" {
		t.Errorf("the last event is %q", word(last))
	}
	if b.Dropped()+int64(len(sent)) != phases+1 {
		t.Errorf("%d dropped and %d sent of %d", b.Dropped(), len(sent), phases+1)
	}
	if n := testutil.ToFloat64(b.sender.messages.sent); int(n) != len(sent) {
		t.Errorf("counted %v as sent, want %d", n, len(sent))
	}
}

// stuck is a log that cannot be written to until it is let go.
type stuck struct {
	entered sync.Once
	in, out chan struct{}
}

func newStuck() *stuck { return &stuck{in: make(chan struct{}), out: make(chan struct{})} }

func (s *stuck) Write(p []byte) (int, error) {
	s.entered.Do(func() { close(s.in) })
	<-s.out
	return len(p), nil
}

// A log that blocks holds up neither product code nor the messages.
func TestSender_BlockedLog(t *testing.T) {
	t.Parallel()
	out := newStuck()
	b := newBench(t, func(c *Config) { c.Buffer, c.Output = 8, out })
	j := b.mustCreate(t, Spec{ID: "j"})
	<-out.in
	for range 100 {
		j.Phase(t.Context(), "p").End()
	}
	eventually(t, "messages in spite of the log", func() bool {
		b.pubsub.mu.Lock()
		defer b.pubsub.mu.Unlock()
		return len(b.pubsub.messages) > 4
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := b.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("closed with %v", err)
	}
	j.Phase(t.Context(), "after the end")
	close(out.out)
	<-b.sender.lines.done
}

// torn writes half of the first line, then fails once.
type torn struct {
	buffer
	writes int
}

func (w *torn) Write(p []byte) (int, error) {
	if w.writes++; w.writes == 1 {
		n, _ := w.buffer.Write(p[:len(p)/2])
		return n, io.ErrShortWrite
	}
	return w.buffer.Write(p)
}

func TestSender_TornLineDoesNotSpoilTheNext(t *testing.T) {
	t.Parallel()
	out := &torn{}
	b := newBench(t, func(c *Config) { c.Output = out })
	j := b.mustCreate(t, Spec{ID: "j"})
	j.Phase(t.Context(), "p")
	b.flush(t)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[1], "{") || !strings.HasSuffix(lines[1], "}") {
		t.Errorf("lines %q", lines)
	}
}

type panics struct{}

func (panics) Write([]byte) (int, error) { panic("out of order") }

func TestSender_PanicStaysInside(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.Output = panics{} })
	j := b.mustCreate(t, Spec{ID: "j"})
	j.Phase(t.Context(), "p").End()
	if sent := b.flush(t); len(sent) != 4 {
		t.Errorf("sent %q", words(sent))
	}
	if !strings.Contains(b.log.String(), "panic: out of order") {
		t.Errorf("log:\n%s", b.log.String())
	}
}

func TestSender_LostAndClosedAreCounted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.pubsub.err = errBroken
	j, err := b.Join(t.Context(), Ref{JobID: "j"})
	if err != nil {
		t.Fatal(err)
	}
	j.Phase(t.Context(), "p")
	b.flush(t)
	j.Phase(t.Context(), "too late")
	if b.Dropped() != 2 {
		t.Errorf("%d dropped", b.Dropped())
	}
	if err := b.Close(t.Context()); err != nil {
		t.Errorf("closed again: %v", err)
	}
	if lines := strings.Count(b.out.String(), "phase_event"); lines != 1 {
		t.Errorf("%d lines; what Pub/Sub lost must be in the log:\n%s", lines, b.out.String())
	}
}

// Many goroutines report at once, on jobs they share, while the client closes.
func TestSender_Race(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.Buffer = 64 })
	j := b.mustCreate(t, Spec{ID: "j"})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 50 {
				j.Enter(context.Background(), Backend())
				p := j.Phase(context.Background(), "p")
				for n := range 5 {
					p.Progress(float64(n), 5, "n")
				}
				p.End()
				j.Done(context.Background())
			}
		})
	}
	group.Go(func() { b.flush(t) })
	group.Wait()
	ids := map[string]message{}
	for _, m := range b.pubsub.messages {
		if _, phase := m.(*resiliencyv1.PhaseEvent); phase && ids[m.GetEventId()] != nil {
			t.Errorf("%q and %q share an id", word(ids[m.GetEventId()]), word(m))
		}
		ids[m.GetEventId()] = m
	}
}

// Two clients of one process, and a registry that has taken the name: no panic.
func TestMetrics_NeverPanic(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	newMetrics(reg).events.WithLabelValues("log", outcomeSent).Inc()
	newMetrics(reg).events.WithLabelValues("log", outcomeSent).Inc()
	if n, err := testutil.GatherAndCount(reg); err != nil || n != 1 {
		t.Errorf("%d series, error %v", n, err)
	}
	taken := prometheus.NewRegistry()
	if err := taken.Register(prometheus.NewCounter(prometheus.CounterOpts{Name: "resiliency_sdk_events_total", Help: "Another."})); err != nil {
		t.Fatal(err)
	}
	newMetrics(taken).events.WithLabelValues("log", outcomeSent).Inc()
}
