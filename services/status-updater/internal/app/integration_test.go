//go:build integration

package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/uuid"
	"github.com/rs/zerolog"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/service"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// patience bounds every wait; nothing here takes that long on its own.
const patience = time.Minute

// system is the service in this process, on emulators, with a project of its own.
type system struct {
	t         *testing.T
	project   string
	broker    *pubsub.Client
	documents *firestore.Client
	publisher *messaging.Publisher
}

func newSystem(t *testing.T) *system {
	t.Helper()
	for _, name := range []string{"FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST"} {
		if os.Getenv(name) == "" {
			t.Fatalf("%s is not set: integration tests need the emulators (`make test` starts them)", name)
		}
	}
	s := &system{t: t, project: "updater-" + uuid.NewString()[:8]}
	var err error
	if s.broker, err = messaging.NewClient(t.Context(), s.project); err != nil {
		t.Fatal(err)
	}
	if s.documents, err = jobstore.NewClient(t.Context(), s.project, ""); err != nil {
		t.Fatal(err)
	}
	s.publisher = messaging.NewPublisher(s.broker, messaging.PublisherConfig{}, nil, zerolog.Nop())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		for _, err := range []error{s.publisher.Close(ctx), s.broker.Close(), s.documents.Close()} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	return s
}

func (s *system) provision() {
	s.t.Helper()
	if err := topology.Provision(s.t.Context(), s.broker, s.project, topology.Local); err != nil {
		s.t.Fatal(err)
	}
}

// start runs the service until stop is called, which returns its exit code.
func (s *system) start(env map[string]string) (admin string, out *syncBuffer, stop func() int) {
	s.t.Helper()
	out = &syncBuffer{}
	full := map[string]string{
		"GOOGLE_CLOUD_PROJECT": s.project, "ADMIN_ADDR": "127.0.0.1:0", "LOG_LEVEL": "debug",
		"HEARTBEAT_EVERY": "200ms", "FIRESTORE_TIMEOUT": "20s",
	}
	for k, v := range env {
		full[k] = v
	}
	address := make(chan string, 1)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() {
		ended <- service.Run(ctx, service.Spec{
			Name: serviceName, Stdout: out, Stderr: out,
			LookupEnv: func(name string) (string, bool) { v, ok := full[name]; return v, ok },
		}, nil, func(ctx context.Context, rt *service.Runtime, cfg *Config) error {
			address <- rt.AdminAddr()
			return Run(ctx, rt, cfg)
		})
	}()
	stop = sync.OnceValue(func() int { cancel(); return <-ended })
	s.t.Cleanup(func() {
		if stop(); s.t.Failed() {
			s.t.Logf("what the service logged:\n%s", out)
		}
	})
	return "http://" + <-address, out, stop
}

// eventually waits until check returns nil.
func eventually(t *testing.T, what string, check func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := poll(ctx, check); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// poll returns nil once check does, or the last that it found before ctx ended.
func poll(ctx context.Context, check func(ctx context.Context) error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	last := errors.New("never looked")
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return last
		}
	}
}

func ready(admin string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, admin+"/readyz", nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d", response.StatusCode)
		}
		return nil
	}
}

func jobEvent(jobID string, second int, state job.State, evidence job.Evidence) *resiliencyv1.JobEvent {
	begin := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	return &resiliencyv1.JobEvent{
		EventId: uuid.NewString(), OccurredAt: timestamppb.New(begin.Add(time.Duration(second) * time.Second)),
		JobId: jobID, Attempt: 1, Stage: &resiliencyv1.Stage{Name: "kubernetes", Ordinal: 30},
		CorrelationId: "req-" + jobID, Source: resiliencyv1.Source_SOURCE_EVENT_STREAMER,
		Kubernetes: &resiliencyv1.KubernetesRef{
			Cluster: "c", Namespace: "n", Name: jobID, Uid: "u-" + jobID, CreatedAt: timestamppb.New(begin),
		},
		Event: &resiliencyv1.JobEvent_StatusObserved{StatusObserved: &resiliencyv1.JobStatusObserved{State: state, Evidence: evidence}},
	}
}

func (s *system) publish(events ...*resiliencyv1.JobEvent) {
	s.t.Helper()
	for _, e := range events {
		if err := s.publisher.Publish(s.t.Context(), e); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *system) field(ctx context.Context, path, field string) (any, error) {
	snap, err := s.documents.Doc(path).Get(ctx)
	if err != nil {
		return nil, err
	}
	return snap.Data()[field], nil
}

func (s *system) wantField(path, field string, want any) {
	s.t.Helper()
	eventually(s.t, path+" "+field, func(ctx context.Context) error {
		got, err := s.field(ctx, path, field)
		if err == nil && got != want {
			err = fmt.Errorf("is %v, not %v", got, want)
		}
		return err
	})
}

// receive collects messages of a subscription until done says that it has enough.
func receive[M proto.Message](s *system, subscription string, done func(all []M) bool) []M {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	var mu sync.Mutex
	var all []M
	enough := false
	err := s.broker.Subscriber(subscription).Receive(ctx, func(_ context.Context, m *pubsub.Message) {
		var zero M
		msg := zero.ProtoReflect().New().Interface().(M)
		if err := proto.Unmarshal(m.Data, msg); err != nil {
			s.t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, msg)
		m.Ack()
		if enough = done(all); enough {
			cancel()
		}
	})
	if err != nil || !enough {
		s.t.Fatalf("%s: got %v, error %v", subscription, all, err)
	}
	return all
}

func TestIntegration_EventsBecomeRecordsAndUpdates(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.provision()
	admin, out, stop := s.start(nil)
	eventually(t, "readiness", ready(admin))

	s.publish(
		jobEvent("good", 1, job.StateRunning, 0),
		jobEvent("good", 9, job.StateSucceeded, job.EvidenceCondition),
		jobEvent("good", 5, job.StateRunning, 0),
		jobEvent("wrong", 5, job.StateFailed, job.EvidenceAbsence))
	s.wantField("jobs/good", "state", "SUCCEEDED")
	s.wantField("jobs/wrong", "state", "FAILED")
	s.publish(jobEvent("wrong", 7, job.StateSucceeded, job.EvidenceCondition))
	s.wantField("jobs/wrong", "state", "SUCCEEDED")

	updates := receive(s, topology.SubscriptionJobUpdatesProduct, func(all []*resiliencyv1.JobUpdate) bool {
		kinds := map[string]bool{}
		for _, u := range all {
			kinds[fmt.Sprintf("%s %T", u.GetJobId(), u.GetEvent())] = true
		}
		return kinds["good *resiliencyv1.JobUpdate_Succeeded"] && kinds["wrong *resiliencyv1.JobUpdate_Failed"] &&
			kinds["wrong *resiliencyv1.JobUpdate_Corrected"]
	})
	for _, u := range updates {
		if u.GetSource() != resiliencyv1.Source_SOURCE_STATUS_UPDATER || u.GetRevision() < 1 {
			t.Errorf("update %v", u)
		}
	}
	phases := receive(s, topology.SubscriptionJobPhasesPhaseTracer, func(all []*resiliencyv1.PhaseEvent) bool { return len(all) > 0 })
	if c := phases[0].GetCorrected(); phases[0].GetJobId() != "wrong" || c.GetFromState() != job.StateFailed || c.GetToState() != job.StateSucceeded {
		t.Errorf("phase %v", phases[0])
	}
	eventually(t, "outbox is empty", func(ctx context.Context) error {
		docs, err := s.documents.Collection("outbox").Documents(ctx).GetAll()
		if err == nil && len(docs) > 0 {
			err = fmt.Errorf("%d entries", len(docs))
		}
		return err
	})
	s.wantField("heartbeats/status-updater", "in_hand", int64(0))
	if code := stop(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	wantLogLine(t, out, map[string]any{"outcome": "corrected", "job_id": "wrong", "from": "FAILED", "to": "SUCCEEDED", "correlation_id": "req-wrong"})
}

// What breaks the contract goes to the dead letters and blocks nothing.
func TestIntegration_BadInputIsDeadLettered(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.provision()
	admin, _, _ := s.start(nil)
	eventually(t, "readiness", ready(admin))
	unknown := jobEvent("unknown-state", 1, 99, 0)
	s.publish(unknown, jobEvent("after", 2, job.StateRunning, 0))
	s.wantField("jobs/after", "state", "RUNNING")
	letters := receive(s, topology.SubscriptionDeadLettersDLQHandler, func(all []*resiliencyv1.JobEvent) bool { return len(all) > 0 })
	if !proto.Equal(letters[0], unknown) {
		t.Errorf("dead letter %v, want the message unchanged", letters[0])
	}
}

// What an earlier process committed and did not send goes out by the sweep.
func TestIntegration_SweepSendsWhatACrashLeft(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.provision()
	update := &resiliencyv1.JobUpdate{EventId: "left-behind", JobId: "j", Revision: 3}
	payload, err := proto.Marshal(update)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.documents.Collection("outbox").Doc("left-behind").Create(t.Context(), map[string]any{
		"topic": topology.TopicJobUpdates, "type": "envision.resiliency.v1.JobUpdate", "payload": payload,
		"attributes": map[string]any{"event_id": "left-behind"}, "created_at": time.Now().Add(-time.Hour),
	}); err != nil {
		t.Fatal(err)
	}
	s.start(nil)
	got := receive(s, topology.SubscriptionJobUpdatesProduct, func(all []*resiliencyv1.JobUpdate) bool { return len(all) > 0 })
	if !proto.Equal(got[0], update) {
		t.Errorf("update %v", got[0])
	}
}

// Without its subscription the service ends with a sentence that says what to do.
func TestIntegration_MissingSubscriptionEndsTheStart(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	_, out, stop := s.start(map[string]string{"STARTUP_BUDGET": "1s"})
	eventually(t, "end of the process", func(context.Context) error {
		if !strings.Contains(out.String(), "cannot start: Pub/Sub subscription job-events-status-updater is required") {
			return fmt.Errorf("log is %s", out)
		}
		return nil
	})
	if code := stop(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if !strings.Contains(out.String(), "Create the topics and subscriptions first") {
		t.Errorf("no remedy in %s", out)
	}
}

// A sweep sends what anybody left, commands too: without their topic, or the right to
// publish there, they would wait behind a service that looks well.
func TestIntegration_MissingTopicOfTheOutboxEndsTheStart(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.provision()
	name := topology.TopicName(s.project, topology.TopicJobCommands)
	if err := s.broker.TopicAdminClient.DeleteTopic(t.Context(), &pubsubpb.DeleteTopicRequest{Topic: name}); err != nil {
		t.Fatal(err)
	}
	_, out, stop := s.start(map[string]string{"STARTUP_BUDGET": "1s"})
	eventually(t, "end of the process", func(context.Context) error {
		if !strings.Contains(out.String(), "cannot start: Pub/Sub topics for updates, phases, commands and dead letters is required") {
			return fmt.Errorf("log is %s", out)
		}
		return nil
	})
	if code := stop(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
}

// wantLogLine looks for a line that has all the fields.
func wantLogLine(t *testing.T, out *syncBuffer, want map[string]any) {
	t.Helper()
	for line := range strings.Lines(out.String()) {
		var got map[string]any
		if json.Unmarshal([]byte(line), &got) != nil {
			continue
		}
		hit := true
		for k, v := range want {
			hit = hit && got[k] == v
		}
		if hit {
			return
		}
	}
	t.Errorf("no log line has %v in\n%s", want, out)
}

// syncBuffer is a buffer for many writers and readers.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
