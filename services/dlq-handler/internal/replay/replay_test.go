package replay_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/resilience"
	"github.com/envision/resiliency/pkg/service"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/dlq-handler/internal/replay"
)

func TestEngine_Replay(t *testing.T) {
	t.Parallel()
	s, p := newStore(time.Now, 1), &publisher{}
	e := newEngine(s, p)
	got, err := e.Replay(t.Context(), "l-00", "ana", "mended")
	if err != nil || got.Outcome != letters.ReplaySent || got.Letter.State != letters.StateReplayed {
		t.Fatalf("Replay = %+v, %v", got, err)
	}
	want := map[string]string{"topic": "job-events", "k": "v", "replay_target": updater, "replay_number": "1"}
	if diff := cmp.Diff(want, p.last); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	got, err = e.Replay(t.Context(), "l-00", "ben", "again")
	if err != nil || got.Outcome != letters.ReplayAlready || !strings.Contains(got.Text, "ana") || p.total() != 1 {
		t.Errorf("a second replay = %+v, %v; %d sent", got, err, p.total())
	}
	if _, err := e.Replay(t.Context(), "none", "ana", "x"); !errors.Is(err, letters.ErrNotFound) {
		t.Errorf("replay of none: %v", err)
	}
}

// A replay belongs to the trace of the message, not to that of who asked for it.
func TestEngine_LogsInTheTraceOfTheLetter(t *testing.T) {
	t.Parallel()
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	s, p := newStore(time.Now, 1), &publisher{}
	s.letters["l-00"].Attributes = []letters.Attribute{{Key: "traceparent", Value: parent}}
	var out bytes.Buffer
	e := newEngine(s, p)
	e.Log = zerolog.New(&out).Hook(service.TraceHook{ProjectID: "p"})
	asked := messaging.Trace(map[string]string{"traceparent": "00-" + strings.Repeat("1", 32) + "-" + strings.Repeat("2", 16) + "-01"})
	if _, err := e.Replay(messaging.WithTrace(t.Context(), asked), "l-00", "ana", "mended"); err != nil {
		t.Fatal(err)
	}
	if line := out.String(); !strings.Contains(line, `"logging.googleapis.com/trace":"projects/p/traces/4bf92f3577b34da6a3ce929d0e0e4736"`) {
		t.Errorf("line %s", line)
	}
	if p.last["traceparent"] != parent {
		t.Errorf("sent with %v", p.last)
	}
}

func TestEngine_ManyOperatorsSendOnce(t *testing.T) {
	t.Parallel()
	s, p := newStore(time.Now, 1), &publisher{}
	e := newEngine(s, p)
	var sent atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			got, err := e.Replay(context.Background(), "l-00", "ana", "mended")
			if err != nil || got.Text == "" {
				t.Errorf("Replay = %+v, %v", got, err)
			}
			if got.Outcome == letters.ReplaySent {
				sent.Add(1)
			}
		})
	}
	wg.Wait()
	if sent.Load() != 1 || p.total() != 1 {
		t.Errorf("%d say that they sent it, %d messages", sent.Load(), p.total())
	}
}

func TestEngine_Refuses(t *testing.T) {
	t.Parallel()
	expired, err := proto.Marshal(&resiliencyv1.JobCommand{NotAfter: timestamppb.New(time.Now().Add(-time.Hour))})
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name   string
		change func(l *letters.Letter)
		fault  func(string) error
		text   string
	}{
		{"unknown_subscription", func(l *letters.Letter) { l.Subscription = letters.Unknown }, nil, "none to send it to"},
		{"subscription_of_an_earlier_release", func(l *letters.Letter) { l.Subscription = "old" }, nil, "none of ours any more"},
		{"empty", func(l *letters.Letter) { l.PayloadSize, l.Attributes = 0, nil }, nil, "empty"},
		{"expired_command", func(l *letters.Letter) { l.Type, l.Payload = "envision.resiliency.v1.JobCommand", expired }, nil, "expired"},
		{"topic_is_gone", func(*letters.Letter) {}, missing, "does not exist"},
		{"refused_for_good", func(*letters.Letter) {}, func(string) error { return resilience.Permanent(errors.New("too large")) }, "too large"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, p := newStore(time.Now, 1), &publisher{fault: c.fault}
			c.change(s.letters["l-00"])
			got, err := newEngine(s, p).Replay(t.Context(), "l-00", "ana", "x")
			if err != nil || got.Outcome != letters.ReplayRefused || !strings.Contains(got.Text, c.text) || p.total() != 0 {
				t.Errorf("Replay = %+v, %v", got, err)
			}
			if l, _ := s.Get(t.Context(), "l-00"); l.State != letters.StateOpen {
				t.Errorf("the letter is %s", l.State)
			}
		})
	}
	s := newStore(time.Now, 1)
	if _, err := newEngine(s, &publisher{fault: outage}).Replay(t.Context(), "l-00", "ana", "x"); resilience.CategoryOf(err) != resilience.CategoryDependency {
		t.Errorf("while Pub/Sub is down: %v", err)
	}
	if l, _ := s.Get(t.Context(), "l-00"); l.State != letters.StateOpen || l.LastError == "" {
		t.Errorf("the letter is %s: %q", l.State, l.LastError)
	}
}

// The largest messages, many of them replayed at the same moment, must not fill
// the memory.
func TestEngine_SendsFewLargeLettersAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, o := newStore(time.Now, 20), &objects{}
		for id, l := range s.letters {
			l.Payload, l.PayloadURI = nil, "gs://b/"+id
		}
		p := &publisher{fault: func(string) error { o.held.Add(-1); return nil }}
		e := newEngine(s, p)
		e.Objects, e.Publisher = o, slow{p}
		var wg sync.WaitGroup
		for id := range s.letters {
			wg.Go(func() {
				if got, err := e.Replay(context.Background(), id, "ana", "mended"); err != nil || got.Outcome != letters.ReplaySent {
					t.Errorf("%s: %+v, %v", id, got, err)
				}
			})
		}
		wg.Wait()
		if p.total() != 20 || o.most.Load() > 2 {
			t.Errorf("%d sent, %d in memory at once", p.total(), o.most.Load())
		}
		// Who cannot wait is told so, and nothing is claimed.
		e.Publisher, s.letters["l-00"].State = slow{&publisher{fault: outage}}, letters.StateOpen
		s.letters["l-01"].State, s.letters["l-02"].State = letters.StateOpen, letters.StateOpen
		for _, id := range []string{"l-00", "l-01"} {
			wg.Go(func() { _, _ = e.Replay(context.Background(), id, "ana", "x") })
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := e.Replay(ctx, "l-02", "ana", "x"); resilience.CategoryOf(err) != resilience.CategoryDependency {
			t.Errorf("while others are sent: %v", err)
		}
		if l, _ := s.Get(t.Context(), "l-02"); l.State != letters.StateOpen || l.Replays != 1 {
			t.Errorf("it is %s after %d replays", l.State, l.Replays)
		}
		wg.Wait()
	})
}

// slow is a publisher that takes a minute.
type slow struct{ *publisher }

func (s slow) PublishRaw(ctx context.Context, topic string, data []byte, attributes map[string]string) error {
	time.Sleep(time.Minute)
	return s.publisher.PublishRaw(ctx, topic, data, attributes)
}

func TestEngine_PayloadIsOpenedWhereItIs(t *testing.T) {
	t.Parallel()
	e := newEngine(newStore(time.Now, 0), &publisher{})
	e.Objects = &objects{}
	for want, l := range map[string]*letters.Letter{"inline": {Payload: []byte("inline")}, "gs://b/o": {PayloadURI: "gs://b/o"}, "": {}} {
		content, size, err := e.Payload(t.Context(), l)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(content)
		if err != nil || string(got) != want || size != int64(len(want)) || content.Close() != nil {
			t.Errorf("payload %q of %d bytes, %v; want %q", got, size, err, want)
		}
	}
}

func TestEngine_RequestsAreChecked(t *testing.T) {
	t.Parallel()
	e := newEngine(newStore(time.Now, 3), &publisher{})
	at := time.Now()
	for _, r := range []letters.ReplayRequest{
		{Rate: -1}, {Rate: math.NaN()}, {Rate: math.Inf(1)}, {Rate: 1e9}, {Limit: -1},
		{Filter: letters.Filter{State: letters.StateDiscarded}},
		{Filter: letters.Filter{Tenants: make([]string, 31)}},
		{Filter: letters.Filter{From: at, To: at}},
	} {
		_, startErr := e.Start(t.Context(), r)
		_, previewErr := e.Preview(t.Context(), r)
		for _, err := range []error{startErr, previewErr} {
			if !errors.Is(err, letters.ErrFilter) || !resilience.IsPermanent(err) {
				t.Errorf("%+v: %v", r, err)
			}
		}
	}
	preview, err := e.Preview(t.Context(), letters.ReplayRequest{Rate: 0.5, Limit: 2})
	if err != nil || preview.Matched != 3 || len(preview.Sample) != 3 || preview.Takes != 4*time.Second {
		t.Errorf("Preview = %+v, %v", preview, err)
	}
}

// work runs operations until the condition holds.
func work(t *testing.T, e *replay.Engine, owner string, until func() bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- replay.NewRunner(e, replay.RunnerConfig{Owner: owner}).Run(ctx) }()
	for !until() {
		time.Sleep(100 * time.Millisecond)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestRunner_WorksAFilterOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p := newStore(time.Now, 120), &publisher{}
		e := newEngine(s, p)
		begin := time.Now()
		o, err := e.Start(t.Context(), letters.ReplayRequest{By: "ana", Rate: 2})
		if err != nil {
			t.Fatal(err)
		}
		work(t, e, "p1", func() bool { return s.operation(o.ID).State != letters.OperationRunning })
		got := s.operation(o.ID)
		if got.State != letters.OperationDone || got.Matched != 120 || got.Replayed != 120 || p.total() != 120 {
			t.Errorf("operation %+v, %d sent", got, p.total())
		}
		if took := time.Since(begin); took < 59*time.Second || took > 70*time.Second {
			t.Errorf("120 letters at 2 a second took %s", took)
		}
	})
}

func TestRunner_LimitAndFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(time.Now, 20)
		down := time.Now().Add(30 * time.Second)
		p := &publisher{fault: func(data string) error {
			switch {
			case data == "l-19":
				return missing(data) // its topic is gone: it fails, the others go on
			case time.Now().Before(down):
				return outage(data) // an outage is waited for
			}
			return nil
		}}
		e := newEngine(s, p)
		o, err := e.Start(t.Context(), letters.ReplayRequest{By: "ana", Limit: 5})
		if err != nil {
			t.Fatal(err)
		}
		work(t, e, "p1", func() bool { return s.operation(o.ID).State != letters.OperationRunning })
		if got := s.operation(o.ID); got.Replayed != 5 || got.Failed != 1 || p.total() != 5 || s.states()[letters.StateOpen] != 15 {
			t.Errorf("operation %+v, %d sent, %v", got, p.total(), s.states())
		}
	})
}

func TestRunner_SurvivesItsProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p := newStore(time.Now, 60), &publisher{}
		e := newEngine(s, p)
		o, err := e.Start(t.Context(), letters.ReplayRequest{By: "ana", Rate: 1})
		if err != nil {
			t.Fatal(err)
		}
		work(t, e, "p1", func() bool { return p.total() >= 20 })
		// Another letter was in the hands of a process that died without a word.
		s.mu.Lock()
		s.letters["l-05"].State, s.letters["l-05"].Claim = letters.StateReplaying, letters.Claim{Operation: o.ID, Until: time.Now().Add(time.Hour)}
		s.mu.Unlock()
		work(t, e, "p2", func() bool { return s.operation(o.ID).State != letters.OperationRunning })
		if got := s.operation(o.ID); got.Replayed != 60 || got.State != letters.OperationDone {
			t.Errorf("operation %+v", got)
		}
		for id, times := range p.sent {
			if times != 1 {
				t.Errorf("%s was sent %d times", id, times)
			}
		}
	})
}

func TestRunner_StopsWhenCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p := newStore(time.Now, 60), &publisher{}
		e := newEngine(s, p)
		o, err := e.Start(t.Context(), letters.ReplayRequest{By: "ana", Rate: 0.1})
		if err != nil {
			t.Fatal(err)
		}
		work(t, e, "p1", func() bool {
			if p.total() < 3 {
				return false
			}
			s.mu.Lock()
			s.operations[o.ID].State = letters.OperationCancelled
			s.mu.Unlock()
			time.Sleep(time.Minute)
			return true
		})
		if n := p.total(); n > 4 {
			t.Errorf("%d letters were sent after the cancel", n-3)
		}
	})
}

func TestRunner_OpensWhatWasLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(time.Now, 2)
		s.letters["l-00"].State, s.letters["l-00"].Claim.Until = letters.StateReplaying, time.Now().Add(time.Minute)
		begin := time.Now()
		work(t, newEngine(s, &publisher{}), "p1", func() bool { return s.states()[letters.StateOpen] == 2 })
		if after := time.Since(begin); after < time.Minute || after > 2*time.Minute {
			t.Errorf("opened after %s", after)
		}
	})
}
