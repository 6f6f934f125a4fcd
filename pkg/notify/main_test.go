package notify_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/envision/resiliency/pkg/notify"
	"github.com/envision/resiliency/pkg/notify/notifytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a notifier on a store and a sink in memory. Build it in a bubble.
type rig struct {
	*notify.Notifier

	t     *testing.T
	store *notifytest.Store
	sink  *notifytest.Sink
	reg   *prometheus.Registry
	log   *logs
}

// logs collects lines.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), text)
}

func slackConfig() notify.Config {
	return notify.Config{SlackToken: "t", SlackChannel: "C1", PublicURL: "https://dlq.example.com/base"}
}

func newRig(t *testing.T, cfg notify.Config, store *notifytest.Store, sink *notifytest.Sink) *rig {
	t.Helper()
	r := &rig{t: t, store: store, sink: sink, reg: prometheus.NewRegistry(), log: &logs{}}
	n, err := notify.New(cfg, notify.Parts{
		Store: store, Poster: sink, Instance: fmt.Sprintf("i-%p", r), Registerer: r.reg, Log: zerolog.New(r.log),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Notifier = n
	return r
}

// bubble runs a test with a notifier that runs, and a fake clock.
func bubble(t *testing.T, cfg notify.Config, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, cfg, &notifytest.Store{}, &notifytest.Sink{})
		stop := r.start()
		test(t, r)
		stop()
	})
}

// elapse lets time pass on the clock of the bubble.
func elapse(d time.Duration) { time.Sleep(d) }

// start runs the notifier until stop is called.
func (r *rig) start() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.Run(ctx); err != nil {
			r.t.Error(err)
		}
	}()
	return func() { cancel(); <-done }
}

func fact(kind, key string) *notify.Fact {
	return &notify.Fact{
		Key: key, Fingerprint: kind, Detail: "detail of " + key, DetailLink: "/letters/" + key,
		Content: notify.Content{Title: "Kind " + kind, Link: "/letters?fingerprint=" + kind},
	}
}

func (r *rig) note(facts ...*notify.Fact) {
	r.t.Helper()
	for _, f := range facts {
		if err := r.Note(r.t.Context(), f); err != nil {
			r.t.Fatal(err)
		}
	}
}

// field returns a field of a message.
func field(m notify.Message, name string) string {
	for _, f := range m.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

func (r *rig) metric(name string, labels ...string) float64 {
	r.t.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			var values []string
			for _, l := range m.GetLabel() {
				values = append(values, l.GetValue())
			}
			if strings.Join(values, ",") == strings.Join(labels, ",") {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return 0
}

func TestMetrics_are_well_formed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, slackConfig(), &notifytest.Store{}, &notifytest.Sink{})
		if problems, err := testutil.GatherAndLint(r.reg); err != nil || len(problems) > 0 {
			t.Errorf("lint: %v %v", problems, err)
		}
	})
}

// soon is long enough for a post and its replies.
const soon = 10 * time.Second
