package witness

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	streamer = resiliencyv1.Source_SOURCE_EVENT_STREAMER
	witness  = resiliencyv1.Source_SOURCE_LOG_WITNESS
	sdk      = resiliencyv1.Source_SOURCE_SDK
	window   = 5 * time.Minute
)

// elapse lets time pass on the clock of a synctest bubble; nobody waits for it.
func elapse(d time.Duration) { time.Sleep(d); synctest.Wait() }

type stage struct {
	*Watch
	t     *testing.T
	lines *bytes.Buffer
}

// onStage runs a Watch of streamer and witness in a bubble.
func onStage(t *testing.T, play func(s *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{t: t, lines: &bytes.Buffer{}}
		s.Watch = New(Config{Expected: []job.Source{streamer, witness}, Window: window},
			prometheus.NewRegistry(), time.Now, zerolog.New(s.lines))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		play(s)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// speak lets sources make a claim every so often for a while.
func (s *stage) speak(d, every time.Duration, sources ...job.Source) {
	for ; d > 0; d -= every {
		for i, source := range sources {
			s.Claim(source, i == 0)
		}
		elapse(every)
	}
}

func (s *stage) wantSilent(when string, source job.Source, want float64) {
	s.t.Helper()
	if got := testutil.ToFloat64(s.metrics.silent.WithLabelValues(label(source))); got != want {
		s.t.Errorf("%s: %s silent is %v, want %v", when, label(source), got, want)
	}
}

func TestWatch_SilenceOfOneWhileTheOtherSpeaks(t *testing.T) {
	t.Parallel()
	onStage(t, func(s *stage) {
		s.speak(time.Hour, 10*time.Second, streamer, witness)
		s.wantSilent("both speak", witness, 0)
		s.speak(window-20*time.Second, 10*time.Second, streamer)
		s.wantSilent("before the window", witness, 0)
		s.speak(time.Minute, 10*time.Second, streamer)
		s.wantSilent("after the window", witness, 1)
		s.wantSilent("after the window", streamer, 0)
		if line := s.lines.String(); !strings.Contains(line, `"source":"log_witness"`) || strings.Count(line, "\n") != 1 ||
			!strings.Contains(line, `"speaking":"event_streamer"`) || !strings.Contains(line, `"level":"warn"`) {
			t.Errorf("log says %s", line)
		}
		s.speak(30*time.Second, 10*time.Second, streamer, witness)
		s.wantSilent("just back", witness, 1)
		s.speak(time.Minute, 10*time.Second, streamer, witness)
		s.wantSilent("back for a while", witness, 0)
		if !strings.Contains(s.lines.String(), "a source speaks again") {
			t.Errorf("log says %s", s.lines)
		}
	})
}

// One word now and then is no recovery, and no second alarm either.
func TestWatch_AStammeringSourceIsToldOnce(t *testing.T) {
	t.Parallel()
	onStage(t, func(s *stage) {
		s.speak(window+time.Minute, 10*time.Second, streamer)
		s.wantSilent("never heard", witness, 1)
		for range 5 {
			s.Heard(witness)
			s.speak(2*time.Minute, 10*time.Second, streamer)
			s.wantSilent("stammering", witness, 1)
		}
		if n := strings.Count(s.lines.String(), "\n"); n != 1 {
			t.Errorf("%d lines:\n%s", n, s.lines)
		}
	})
}

// A source that is late, however late, is not silent.
func TestWatch_LatenessIsNotSilence(t *testing.T) {
	t.Parallel()
	onStage(t, func(s *stage) {
		for range 20 {
			s.Claim(streamer, true)
			elapse(window - time.Minute)
			s.Claim(witness, false)
			elapse(time.Hour)
			s.wantSilent("late", witness, 0)
			s.wantSilent("early", streamer, 0)
		}
	})
}

func TestWatch_AQuietSystemIsNotSilent(t *testing.T) {
	t.Parallel()
	onStage(t, func(s *stage) {
		s.speak(time.Minute, 10*time.Second, streamer, witness)
		elapse(24 * time.Hour)
		s.wantSilent("quiet", streamer, 0)
		// Fewer than it takes to tell chance from silence.
		for range minMissed - 1 {
			s.Claim(streamer, true)
		}
		elapse(24 * time.Hour)
		s.wantSilent("hardly anything", witness, 0)
	})
}

// What only one source can tell, nobody else can miss.
func TestWatch_OtherSourcesAreNotCompared(t *testing.T) {
	t.Parallel()
	onStage(t, func(s *stage) {
		s.speak(time.Hour, time.Minute, sdk)
		for range 60 {
			s.Heard(witness)
			elapse(time.Minute)
		}
		s.wantSilent("others speak", streamer, 0)
		s.wantSilent("others speak", witness, 0)
	})
}

func TestWatch_Counts(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 500_000_000)
	reg := prometheus.NewRegistry()
	w := New(Config{Expected: []job.Source{streamer}, Window: window}, reg, func() time.Time { return now }, zerolog.Nop())
	w.Claim(streamer, true)
	w.Claim(witness, false)
	w.Claim(witness, false)
	w.Heard(job.Source(99))
	want := `
# HELP status_updater_source_claims_total Claims by source and whether it was the first to bring the fact (first) or the record knew it or better (duplicate).
# TYPE status_updater_source_claims_total counter
status_updater_source_claims_total{result="duplicate",source="log_witness"} 2
status_updater_source_claims_total{result="first",source="event_streamer"} 1
# HELP status_updater_source_last_seen_timestamp_seconds When a source was last heard, as Unix time.
# TYPE status_updater_source_last_seen_timestamp_seconds gauge
status_updater_source_last_seen_timestamp_seconds{source="event_streamer"} 1.8000000005e+09
status_updater_source_last_seen_timestamp_seconds{source="log_witness"} 1.8000000005e+09
status_updater_source_last_seen_timestamp_seconds{source="other"} 1.8000000005e+09
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want),
		"status_updater_source_claims_total", "status_updater_source_last_seen_timestamp_seconds"); err != nil {
		t.Error(err)
	}
}
