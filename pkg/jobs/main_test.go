package jobs

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/messagingtest"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, messagingtest.LeakOptions()...)
}

const patience = 20 * time.Second

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// buffer is a writer that may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// pubsub is a Pub/Sub that a test holds in its hand. While held, nothing is
// confirmed.
type pubsub struct {
	mu       sync.Mutex
	messages []message
	traces   []string
	held     chan struct{}
	err      error
}

type outcome struct {
	done <-chan struct{}
	err  error
}

func (o outcome) Done() <-chan struct{} { return o.done }
func (o outcome) Err() error            { return o.err }

func (p *pubsub) Start(ctx context.Context, msg proto.Message) result {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return outcome{closed(), p.err}
	}
	p.keep(ctx, msg)
	if p.held != nil {
		return outcome{p.held, nil}
	}
	return outcome{closed(), nil}
}

func (p *pubsub) Publish(ctx context.Context, msg proto.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.keep(ctx, msg)
	}
	return p.err
}

func (p *pubsub) keep(ctx context.Context, msg proto.Message) {
	attributes := map[string]string{}
	messaging.AddTrace(ctx, attributes)
	p.messages = append(p.messages, msg.(message))
	p.traces = append(p.traces, attributes[messaging.AttributeTraceParent])
}

func (p *pubsub) Close(context.Context) error { return nil }

func closed() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// bench is a client whose Pub/Sub, log and clock are the test's.
type bench struct {
	*Client
	pubsub *pubsub
	out    *buffer
	log    *buffer
}

func newBench(t testing.TB, edits ...func(*Config)) *bench {
	t.Helper()
	b := &bench{pubsub: &pubsub{}, out: &buffer{}, log: &buffer{}}
	cfg := Config{
		Output: b.out, Reporter: "test", Instance: "instance-1", Log: zerolog.New(b.log),
		Now: func() time.Time { return epoch },
	}
	for _, edit := range edits {
		edit(&cfg)
	}
	b.Client = newClient(cfg.withDefaults())
	b.connect(b.pubsub, b.pubsub)
	t.Cleanup(func() { _ = b.Close(context.Background()) })
	return b
}

// flush ends the client and returns all that went out.
func (b *bench) flush(t testing.TB) []message {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		t.Fatal(err)
	}
	return b.pubsub.messages
}

func (b *bench) mustCreate(t testing.TB, spec Spec) *Job {
	t.Helper()
	j, err := b.Create(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// words are what messages say, in the order in which they were sent.
func words(messages []message) []string {
	var all []string
	for _, m := range messages {
		all = append(all, word(m))
	}
	return all
}

func word(m message) string {
	var parts []string
	switch e := m.(type) {
	case *resiliencyv1.JobEvent:
		s := e.GetStatusObserved()
		parts = []string{"claim", e.GetStage().GetName(), strings.TrimPrefix(s.GetState().String(), "JOB_STATE_")}
		if s.GetStageDone() {
			parts = append(parts, "done")
		}
	case *resiliencyv1.PhaseEvent:
		parts = []string{e.GetStage().GetName(), e.GetName()}
		switch {
		case e.GetStarted() != nil:
			parts = append(parts, "start")
		case e.GetProgressed() != nil:
			parts = append(parts, "progress")
		case e.GetEnded() != nil:
			parts = append(parts, strings.TrimPrefix(e.GetEnded().GetOutcome().String(), "PHASE_OUTCOME_"))
		default:
			parts = append(parts, "note")
		}
	}
	return strings.Join(parts, " ")
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(patience)
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited %s for %s", patience, what)
		}
	}
}

var errBroken = errors.New("broken")

// newTestLog logs to the test.
func newTestLog(t testing.TB) zerolog.Logger { return zerolog.New(zerolog.NewTestWriter(t)) }
