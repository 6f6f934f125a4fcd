package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/testing/protocmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobevent"
	"github.com/envision/resiliency/pkg/kube"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

// printed reads lines back as any reader of the log would.
func printed(t *testing.T, out []byte) []entry {
	t.Helper()
	var all []entry
	for line := range bytes.Lines(out) {
		if len(line) > MaxLine {
			t.Errorf("a line of %d bytes", len(line))
		}
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("line %.200q: %v", line, err)
		}
		all = append(all, e)
	}
	return all
}

func failedJob() *kube.Job {
	at := metav1.NewTime(noon.Add(time.Minute))
	return kube.ReadJob(&batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name: "train", Namespace: "ml", UID: "u-1", Generation: 1, CreationTimestamp: metav1.NewTime(noon),
			Labels:      map[string]string{kube.LabelJobID: "j-17"},
			Annotations: map[string]string{kube.AnnotationCorrelationID: "req-1"},
		},
		Status: batchv1.JobStatus{Conditions: []batchv1.JobCondition{
			{Type: batchv1.JobFailureTarget, Status: corev1.ConditionTrue, Reason: "BackoffLimitExceeded", LastTransitionTime: at},
			{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Reason: "BackoffLimitExceeded", LastTransitionTime: at},
		}},
	})
}

func factsBy(t *testing.T, source job.Source, reporter string) []fact.Fact {
	t.Helper()
	f, err := (&kube.Mapper{Cluster: "c", Source: source, Reporter: reporter}).Job(failedJob())
	if err != nil {
		t.Fatal(err)
	}
	return fact.From(&f)
}

// Both witnesses give one fact one id, and what the log carries is the very
// message that the topic carries.
func TestLogWriter_saysWhatTheOtherWitnessSays(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	witness := factsBy(t, resiliencyv1.Source_SOURCE_LOG_WITNESS, "witness-0")
	if err := errors.Join(NewLogWriter(&out, "event-streamer", "dev").Send(t.Context(), witness)...); err != nil {
		t.Fatal(err)
	}
	lines, streamer := printed(t, out.Bytes()), factsBy(t, resiliencyv1.Source_SOURCE_EVENT_STREAMER, "streamer-0")
	if len(lines) != len(streamer) || len(lines) < 4 {
		t.Fatalf("%d lines, the streamer has %d facts", len(lines), len(streamer))
	}
	for i, l := range lines {
		if l.EventID != streamer[i].EventID() || l.JobID != "j-17" || l.CorrelationID != "req-1" || l.Kind != streamer[i].Kind() {
			t.Errorf("line %d: %+v, want the head of %s", i, l, streamer[i].Label())
		}
		if l.Severity != "INFO" || l.Message == "" || l.Timestamp == "" || l.Service != "event-streamer" {
			t.Errorf("line %d is not as the log wants it: %+v", i, l)
		}
		if (l.JobEvent == nil) == (l.PhaseEvent == nil) {
			t.Fatalf("line %d has both events or none", i)
		}
		if l.JobEvent == nil {
			checkPhase(t, l, witness[i])
			continue
		}
		var e resiliencyv1.JobEvent
		if err := protojson.Unmarshal(l.JobEvent, &e); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(witness[i].Message(), &e, protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
		o, err := jobevent.Decode(&e, noon.Add(time.Hour))
		if err != nil || o.EventID != streamer[i].EventID() || o.Source != resiliencyv1.Source_SOURCE_LOG_WITNESS {
			t.Errorf("decoded %+v, %v", o, err)
		}
	}
	if !strings.Contains(out.String(), `"event_id":"`) || !strings.Contains(out.String(), `"status_observed":{`) {
		t.Errorf("not by proto names:\n%s", out.String())
	}
}

func checkPhase(t *testing.T, l entry, want fact.Fact) {
	t.Helper()
	var e resiliencyv1.PhaseEvent
	if err := protojson.Unmarshal(l.PhaseEvent, &e); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Message(), &e, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

// tearing fails the nth write after half of it.
type tearing struct {
	bytes.Buffer
	writes, fail int
}

func (w *tearing) Write(p []byte) (int, error) {
	if w.writes++; w.writes == w.fail {
		n, _ := w.Buffer.Write(p[:len(p)/2])
		return n, errors.New("no space left on device")
	}
	return w.Buffer.Write(p)
}

// A failed write is told, and what it left behind spoils no later line.
func TestLogWriter_failedWriteIsRetried(t *testing.T) {
	t.Parallel()
	out := &tearing{fail: 1}
	w := NewLogWriter(out, "event-streamer", "")
	facts := said("req-1")[:1]
	if err := w.Send(t.Context(), facts)[0]; err == nil || resilience.IsPermanent(err) {
		t.Fatalf("got %v, want an error that a retry may mend", err)
	}
	if err := w.Send(t.Context(), facts)[0]; err != nil {
		t.Fatal(err)
	}
	_, whole, found := bytes.Cut(out.Bytes(), []byte("\n"))
	if lines := printed(t, whole); !found || len(lines) != 1 || lines[0].EventID != "e-1" {
		t.Errorf("after a torn line: %q", out.String())
	}
}

// A line stays below the limit whatever an object holds.
func TestLogWriter_longTexts(t *testing.T) {
	t.Parallel()
	long := job.Observation{
		EventID: "e-1", OccurredAt: noon, JobID: "j-17", Attempt: 1, Kind: job.KindStatus,
		State: job.StateFailed, Evidence: job.EvidenceCondition, Detail: strings.Repeat("\x01", job.MaxDetailBytes),
		Cause: job.CauseDetail{Cause: job.CauseOther, Message: strings.Repeat("\x02", job.MaxMessageBytes)},
	}
	hopeless := &resiliencyv1.PhaseEvent{EventId: "e-2", JobId: "j-17", Message: strings.Repeat("x", MaxLine)}
	facts := fact.From(&kube.Facts{Observations: []job.Observation{long}, Phases: []*resiliencyv1.PhaseEvent{hopeless}})
	var out bytes.Buffer
	errs := NewLogWriter(&out, "event-streamer", "").Send(t.Context(), facts)
	if errs[0] != nil || !resilience.IsPermanent(errs[1]) {
		t.Fatalf("outcomes %v, want the second refused", errs)
	}
	lines := printed(t, out.Bytes())
	var e resiliencyv1.JobEvent
	if len(lines) != 1 || protojson.Unmarshal(lines[0].JobEvent, &e) != nil || e.GetStatusObserved().GetState() != job.StateFailed {
		t.Errorf("%d lines, event %v", len(lines), &e)
	}
}

// Many workers share one log; their lines never mix.
func TestLogWriter_manyAtOnce(t *testing.T) {
	t.Parallel()
	r, out := newPipe()
	w := NewLogWriter(out, "event-streamer", "")
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 20 {
				if err := errors.Join(w.Send(context.Background(), said("req-1"))...); err != nil {
					t.Error(err)
				}
			}
		})
	}
	go func() { all.Wait(); _ = out.Close() }()
	if lines := printed(t, r()); len(lines) != 16*20*3 {
		t.Errorf("%d lines, want %d", len(lines), 16*20*3)
	}
}

// newPipe is a stream as a container's: what is written comes in pieces.
func newPipe() (read func() []byte, w *io.PipeWriter) {
	r, w := io.Pipe()
	return func() []byte {
		all, err := io.ReadAll(r)
		if err != nil {
			panic(err)
		}
		return all
	}, w
}
