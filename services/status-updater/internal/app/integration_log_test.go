//go:build integration

package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/messaging/topology"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

type object = map[string]any

// log publishes an entry as the log sink does.
func (s *system) log(entry any) {
	s.t.Helper()
	data, ok := entry.([]byte)
	if !ok {
		var err error
		if data, err = json.Marshal(entry); err != nil {
			s.t.Fatal(err)
		}
	}
	publisher := s.broker.Publisher(topology.TopicJobLogEntries)
	defer publisher.Stop()
	result := publisher.Publish(s.t.Context(), &pubsub.Message{
		Data: data, Attributes: map[string]string{"logging.googleapis.com/timestamp": "2026-11-21T10:00:00Z"},
	})
	if _, err := result.Get(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// witnessed is the entry of a line of the log witness.
func witnessed(t *testing.T, field string, event proto.Message) object {
	t.Helper()
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	return object{
		"logName": "projects/p/logs/stdout", "jsonPayload": object{field: json.RawMessage(text)},
		"resource": object{"type": "k8s_container", "labels": object{"namespace_name": "resiliency", "container_name": "event-streamer-witness"}},
	}
}

// kubernetesEvent is the entry of an Event about a Job.
func kubernetesEvent(name, uid, reason, message string, second int) object {
	at := time.Date(2026, 11, 21, 10, 0, second, 0, time.UTC).Format(time.RFC3339)
	return object{
		"logName": "projects/p/logs/events", "timestamp": at, "resource": object{"type": "k8s_cluster", "labels": object{"cluster_name": "c"}},
		"jsonPayload": object{
			"involvedObject": object{"kind": "Job", "apiVersion": "batch/v1", "namespace": "n", "name": name, "uid": uid},
			"reason":         reason, "message": message, "source": object{"component": "job-controller"}, "lastTimestamp": at,
		},
	}
}

// The log alone carries a job from its start to its end, its phases too, and
// what is none of ours comes to nothing.
func TestIntegration_TheLogAlone(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.provision()
	admin, out, stop := s.start(nil)
	eventually(t, "readiness", ready(admin))

	began := jobEvent("by-log", 1, job.StateRunning, 0)
	began.Kubernetes.StageFinal = new(true)
	s.log(witnessed(t, "job_event", began))
	s.wantField("jobs/by-log", "state", "RUNNING")
	phase := &resiliencyv1.PhaseEvent{
		EventId: "p-1", JobId: "by-log", Attempt: 1, OccurredAt: timestamppb.New(began.GetOccurredAt().AsTime()), Name: "load",
		Event: &resiliencyv1.PhaseEvent_Started{Started: &resiliencyv1.PhaseStarted{}},
	}
	s.log(witnessed(t, "phase_event", phase))
	s.log(kubernetesEvent("somebody", "u-of-nobody", "Completed", "Job completed", 8))
	s.log(object{"textPayload": "Event exporter started watching."})
	s.log(kubernetesEvent("by-log", "u-by-log", "Completed", "Job completed", 9))
	s.wantField("jobs/by-log", "state", "SUCCEEDED")

	s.wantEarlyEnd(admin)

	phases := receive(s, topology.SubscriptionJobPhasesPhaseTracer, func(all []*resiliencyv1.PhaseEvent) bool { return len(all) > 0 })
	phase.Source = resiliencyv1.Source_SOURCE_LOG_WITNESS
	if !proto.Equal(phases[0], phase) {
		t.Errorf("phase %v, want %v", phases[0], phase)
	}
	// Of all these only what cannot be read is a dead letter.
	s.log([]byte("{broken"))
	letter := s.deadLetter()
	if string(letter.Data) != "{broken" || letter.Attributes["dead_letter_subscription"] != topology.SubscriptionJobLogEntriesStatusUpdater {
		t.Errorf("dead letter %q %v", letter.Data, letter.Attributes)
	}
	if code := stop(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	wantLogLine(t, out, map[string]any{"outcome": "applied", "job_id": "by-log", "source": "kubernetes_event", "to": "SUCCEEDED"})
}

// wantEarlyEnd lets the end of a job be known before its record: it comes once
// more and finds it. Once only, and the emulator does not wait long, so a record that a busy
// machine wrote too late for it proves nothing and another job is tried; nor does an
// end that came after all when the record was there.
func (s *system) wantEarlyEnd(admin string) {
	s.t.Helper()
	round := 0
	eventually(s.t, "an end that was early is applied", func(ctx context.Context) error {
		round++
		id := fmt.Sprintf("late-%d", round)
		before, err := earlyEntries(ctx, admin)
		if err != nil {
			return err
		}
		s.log(kubernetesEvent(id, "u-"+id, "BackoffLimitExceeded", "Job has reached the specified backoff limit", 9))
		s.publish(jobEvent(id, 1, job.StateRunning, 0))
		ctx, cancel := context.WithTimeout(ctx, patience/12)
		defer cancel()
		err = poll(ctx, func(ctx context.Context) error {
			state, err := s.field(ctx, "jobs/"+id, "state")
			if err != nil {
				return err
			}
			cause, err := s.field(ctx, "jobs/"+id, "cause")
			if err == nil && (state != "FAILED" || cause != "BACKOFF_LIMIT") {
				err = fmt.Errorf("job %s is %v for %v", id, state, cause)
			}
			return err
		})
		if err != nil {
			return err
		}
		after, err := earlyEntries(ctx, admin)
		if err == nil && after <= before {
			err = fmt.Errorf("the end of job %s was not early", id)
		}
		return err
	})
}

// earlyEntries is how many Events of Jobs the service has given back once.
func earlyEntries(ctx context.Context, admin string) (total float64, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, admin+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		return 0, err
	}
	for _, m := range families["status_updater_log_entries_total"].GetMetric() {
		for _, label := range m.GetLabel() {
			if label.GetName() == "outcome" && label.GetValue() == "early" {
				total += m.GetCounter().GetValue()
			}
		}
	}
	return total, nil
}

// deadLetter is the first one that comes.
func (s *system) deadLetter() *pubsub.Message {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	letters := make(chan *pubsub.Message, 100)
	err := s.broker.Subscriber(topology.SubscriptionDeadLettersDLQHandler).Receive(ctx, func(_ context.Context, m *pubsub.Message) {
		letters <- m
		m.Ack()
		cancel()
	})
	if err != nil || len(letters) == 0 {
		s.t.Fatalf("no dead letter, error %v", err)
	}
	return <-letters
}

// One source that is silent while the other speaks shows in metrics and log.
func TestIntegration_ASilentSourceIsReported(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.provision()
	admin, out, _ := s.start(map[string]string{"SILENCE_AFTER": "1s"})
	eventually(t, "readiness", ready(admin))
	second := 0
	eventually(t, "report", func(context.Context) error {
		second++
		s.publish(jobEvent("alone", second, job.StateRunning, 0))
		if !strings.Contains(out.String(), "a source is silent while another speaks") {
			return fmt.Errorf("no word of it after %d events", second)
		}
		return nil
	})
	wantLogLine(t, out, map[string]any{"severity": "WARNING", "source": "log_witness", "speaking": "event_streamer"})
}
