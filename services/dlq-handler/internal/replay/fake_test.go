package replay_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/messaging/messagingtest"
	"github.com/envision/resiliency/pkg/resilience"
	"github.com/envision/resiliency/services/dlq-handler/internal/replay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, messagingtest.LeakOptions()...) }

const updater = "job-events-status-updater"

// store is package letters in memory, as far as a replay sees it.
type store struct {
	mu         sync.Mutex
	letters    map[string]*letters.Letter
	operations map[string]*letters.Operation
	sent       map[string]int64
	now        func() time.Time
	// afterClaim, when set, is called with each claim.
	afterClaim func()
}

func newStore(now func() time.Time, n int) *store {
	s := &store{letters: map[string]*letters.Letter{}, operations: map[string]*letters.Operation{}, sent: map[string]int64{}, now: now}
	for i := range n {
		id := fmt.Sprintf("l-%02d", i)
		s.letters[id] = &letters.Letter{
			ID: id, State: letters.StateOpen, Subscription: updater, Topic: "job-events", Type: "envision.resiliency.v1.JobEvent",
			Payload: []byte(id), PayloadSize: 4, Attributes: []letters.Attribute{{Key: "k", Value: "v"}},
			LastSeenAt: now().Add(time.Duration(i-n) * time.Hour),
		}
	}
	return s
}

func (s *store) Get(_ context.Context, id string) (letters.Letter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.letters[id]; l != nil {
		return *l, nil
	}
	return letters.Letter{}, letters.ErrNotFound
}

func (s *store) List(_ context.Context, f letters.Filter, after *letters.Cursor, limit int) (letters.Page, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []letters.Letter
	for _, l := range s.letters {
		if (f.State == "" || f.State == l.State) && (f.Category == "" || f.Category == l.Category) && (f.Dependency == "" || f.Dependency == l.Dependency) &&
			(f.To.IsZero() || l.LastSeenAt.Before(f.To)) && (after == nil || l.LastSeenAt.Before(after.At)) {
			all = append(all, *l)
		}
	}
	slices.SortFunc(all, func(a, b letters.Letter) int {
		return cmp.Or(b.LastSeenAt.Compare(a.LastSeenAt), cmp.Compare(b.ID, a.ID))
	})
	if len(all) <= limit {
		return letters.Page{Letters: all}, nil
	}
	last := all[limit-1]
	return letters.Page{Letters: all[:limit], Next: &letters.Cursor{At: last.LastSeenAt, ID: last.ID}}, nil
}

func (s *store) Count(ctx context.Context, f letters.Filter) (int64, error) {
	page, err := s.List(ctx, f, nil, 1<<20)
	return int64(len(page.Letters)), err
}

func (s *store) alter(id string, from letters.State, change func(l *letters.Letter)) (letters.Letter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.letters[id]
	if l.State != from {
		return *l, letters.ErrState
	}
	change(l)
	return *l, nil
}

func (s *store) Claim(_ context.Context, id string, by letters.Claim, _ string) (letters.Letter, error) {
	l, err := s.alter(id, letters.StateOpen, func(l *letters.Letter) {
		by.At, by.Until = s.now(), s.now().Add(time.Minute)
		l.State, l.Claim = letters.StateReplaying, by
		l.Replays++
		if by.Auto {
			l.AutoReplays++
		}
	})
	if err == nil && s.afterClaim != nil {
		s.afterClaim()
	}
	return l, err
}

func (s *store) Confirm(_ context.Context, claimed *letters.Letter) (letters.Letter, error) {
	return s.alter(claimed.ID, letters.StateReplaying, func(l *letters.Letter) {
		l.State = letters.StateReplayed
		s.sent[l.Claim.Operation]++
	})
}

func (s *store) Release(_ context.Context, claimed *letters.Letter, why string, counts bool) (letters.Letter, error) {
	return s.alter(claimed.ID, letters.StateReplaying, func(l *letters.Letter) {
		l.State, l.LastError = letters.StateOpen, why
		if l.Claim.Auto && !counts {
			l.AutoReplays--
		}
	})
}

func (s *store) ReleaseLost(_ context.Context, lost *letters.Letter, _ bool) (letters.Letter, error) {
	return s.alter(lost.ID, letters.StateReplaying, func(l *letters.Letter) { l.State = letters.StateOpen })
}

func (s *store) StartOperation(_ context.Context, o letters.Operation) (letters.Operation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o.ID, o.State, o.Filter.To = fmt.Sprintf("op-%d", len(s.operations)), letters.OperationRunning, s.now()
	s.operations[o.ID] = &o
	return o, nil
}

func (s *store) TakeOperation(_ context.Context, owner string, lease time.Duration) (letters.Operation, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.operations {
		if o.State == letters.OperationRunning && (o.LeaseOwner == owner || !s.now().Before(o.LeaseUntil)) {
			o.LeaseOwner, o.LeaseUntil = owner, s.now().Add(lease)
			return *o, true, nil
		}
	}
	return letters.Operation{}, false, nil
}

func (s *store) SaveOperation(_ context.Context, o *letters.Operation, lease time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.operations[o.ID]
	if held.State != letters.OperationRunning || held.LeaseOwner != o.LeaseOwner {
		return letters.ErrState
	}
	o.LeaseUntil = s.now().Add(lease)
	saved := *o
	s.operations[o.ID] = &saved
	return nil
}

func (s *store) CountSent(_ context.Context, id string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent[id], nil
}

func (s *store) operation(id string) letters.Operation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.operations[id]
}

// claims is how often letters were claimed.
func (s *store) claims() (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.letters {
		n += l.Replays
	}
	return n
}

func (s *store) states() map[letters.State]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[letters.State]int{}
	for _, l := range s.letters {
		out[l.State]++
	}
	return out
}

// objects are payloads in a bucket; they count how many are held at once.
type objects struct{ held, most atomic.Int64 }

func (o *objects) Fetch(_ context.Context, uri string) ([]byte, error) {
	for now, most := o.held.Add(1), o.most.Load(); now > most && !o.most.CompareAndSwap(most, now); most = o.most.Load() {
	}
	return []byte(uri), nil
}

func (o *objects) Open(_ context.Context, uri string) (io.ReadCloser, int64, error) {
	return io.NopCloser(strings.NewReader(uri)), int64(len(uri)), nil
}

// publisher remembers what was published; fault, when set, decides first.
type publisher struct {
	mu    sync.Mutex
	sent  map[string]int
	last  map[string]string
	fault func(data string) error
}

func (p *publisher) PublishRaw(_ context.Context, topic string, data []byte, attributes map[string]string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fault != nil {
		if err := p.fault(string(data)); err != nil {
			return err
		}
	}
	if p.sent == nil {
		p.sent = map[string]int{}
	}
	p.sent[string(data)]++
	p.last = map[string]string{"topic": topic}
	for k, v := range attributes {
		p.last[k] = v
	}
	return nil
}

func (p *publisher) total() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, times := range p.sent {
		n += times
	}
	return n
}

func missing(string) error {
	return resilience.Dependency("pubsub", fmt.Errorf("publish: %w", status.Error(codes.NotFound, "no topic")))
}

func outage(string) error { return resilience.Dependency("pubsub", errors.New("no answer")) }

func newEngine(s *store, p *publisher) *replay.Engine {
	return replay.New(replay.Parts{
		Letters: s, Publisher: p, Metrics: replay.NewMetrics(prometheus.NewRegistry()), Now: s.now, Log: zerolog.Nop(),
	})
}
