package deliver

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"
	"k8s.io/apimachinery/pkg/types"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/kube"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// facts makes one fact for each id.
func facts(ids ...string) []fact.Fact {
	var f kube.Facts
	for _, id := range ids {
		f.Phases = append(f.Phases, &resiliencyv1.PhaseEvent{EventId: id, JobId: "j-1", Attempt: 1})
	}
	return fact.From(&f)
}

// fakeSender confirms what outcome lets pass and remembers every try.
type fakeSender struct {
	// outcome judges the nth try, from 1, of a fact; nil confirms all.
	outcome func(id string, try int) error
	// wait stands in for Wait; nil never waits.
	wait func(ctx context.Context) error

	mu        sync.Mutex
	tries     map[string]int
	confirmed []string
	said      map[string]fact.Fact // what was confirmed, by event id
}

func (s *fakeSender) Wait(ctx context.Context, _ []fact.Fact) error {
	if s.wait != nil {
		return s.wait(ctx)
	}
	return ctx.Err()
}

func (s *fakeSender) Send(_ context.Context, batch []fact.Fact) []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tries == nil {
		s.tries = map[string]int{}
	}
	errs := make([]error, len(batch))
	for i, f := range batch {
		id := f.EventID()
		s.tries[id]++
		if s.outcome != nil {
			errs[i] = s.outcome(id, s.tries[id])
		}
		if errs[i] == nil {
			s.confirmed = append(s.confirmed, id)
			if s.said == nil {
				s.said = map[string]fact.Fact{}
			}
			s.said[id] = f
		}
	}
	return errs
}

// got returns what was confirmed, sorted.
func (s *fakeSender) got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(slices.Values(s.confirmed))
}

// causeOf is the cause that a confirmed fact names.
func (s *fakeSender) causeOf(id string) job.Cause {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, _ := s.said[id].Message().(*resiliencyv1.JobEvent)
	return e.GetStatusObserved().GetCause().GetCause()
}

func (s *fakeSender) triesOf(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tries[id]
}

// bench is a queue that runs inside a bubble of fake time.
type bench struct {
	*Queue
	sender *fakeSender
	reg    *prometheus.Registry
	stop   func() // ends Run and waits for it
}

// Seen, Also and Gone hand over without a mark, as most tests want it.
func (b *bench) Seen(uid types.UID, facts []fact.Fact) { b.Queue.Seen(uid, facts, fact.Mark{}) }
func (b *bench) Also(uid types.UID, facts []fact.Fact) { b.Queue.Also(uid, facts) }
func (b *bench) Gone(uid types.UID, judge Judge)       { b.Queue.Gone(uid, judge, fact.Mark{}) }

// bubble runs a test in fake time: sleeping is free, and synctest.Wait returns
// once every goroutine waits for something.
func bubble(t *testing.T, cfg Config, s *fakeSender, test func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		b := &bench{Queue: New(cfg, s, reg, zerolog.New(zerolog.NewTestWriter(t))), sender: s, reg: reg}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if err := b.Run(ctx); err != nil {
				t.Errorf("Run: %v", err)
			}
		}()
		b.stop = func() { cancel(); <-ended }
		defer b.stop()
		test(t, b)
	})
}

// value reads a counter or gauge, summed over its labels.
func (b *bench) value(t *testing.T, name string) (sum float64) {
	t.Helper()
	families, err := b.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
			return sum
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
