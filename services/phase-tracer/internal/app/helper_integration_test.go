//go:build integration

package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/pubsub/v2"
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
	records   *jobstore.Store
	client    *http.Client
	out       *buffer
}

// buffer is a log that may be read while it is written.
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

func newSystem(t *testing.T) *system {
	t.Helper()
	for _, name := range []string{"FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST"} {
		if os.Getenv(name) == "" {
			t.Fatalf("%s is not set: integration tests need the emulators (`make test` starts them)", name)
		}
	}
	s := &system{
		t: t, project: "tracer-" + uuid.NewString()[:8], out: &buffer{},
		client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}
	var err error
	if s.broker, err = messaging.NewClient(t.Context(), s.project); err != nil {
		t.Fatal(err)
	}
	if s.documents, err = jobstore.NewClient(t.Context(), s.project, ""); err != nil {
		t.Fatal(err)
	}
	s.publisher = messaging.NewPublisher(s.broker, messaging.PublisherConfig{}, nil, zerolog.Nop())
	s.records = jobstore.New(s.documents, jobstore.WithTimeout(patience))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		for _, err := range []error{s.publisher.Close(ctx), s.broker.Close(), s.documents.Close()} {
			if err != nil {
				t.Error(err)
			}
		}
		if t.Failed() {
			t.Log(s.out.String())
		}
	})
	if err := topology.Provision(t.Context(), s.broker, s.project, topology.Local); err != nil {
		t.Fatal(err)
	}
	return s
}

// start runs the service and returns the address of its API; stop ends it.
func (s *system) start(env map[string]string) (api string, stop func()) {
	s.t.Helper()
	full := map[string]string{
		"GOOGLE_CLOUD_PROJECT": s.project, "ADMIN_ADDR": "127.0.0.1:0", "HTTP_ADDR": "127.0.0.1:0", "AUTH": "none",
		"FIRESTORE_TIMEOUT": "30s", "SHUTDOWN_BUDGET": "10s", "HTTP_RATE": "1000", "HTTP_BURST": "1000",
	}
	for k, v := range env {
		full[k] = v
	}
	address := regexp.MustCompile(`"http_addr":"([^"]+)"`)
	before := len(address.FindAllString(s.out.String(), -1))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() {
		ended <- service.Run(ctx, service.Spec{
			Name: serviceName, Stdout: s.out, Stderr: s.out,
			LookupEnv: func(name string) (string, bool) { v, ok := full[name]; return v, ok },
		}, nil, Run)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if code := <-ended; code != 0 {
			s.t.Errorf("exit code %d", code)
		}
	})
	s.t.Cleanup(stop)
	s.eventually("the API listens", func(context.Context) error {
		found := address.FindAllStringSubmatch(s.out.String(), -1)
		if len(found) == before {
			return fmt.Errorf("not yet")
		}
		api = "http://" + found[len(found)-1][1]
		return nil
	})
	return api, stop
}

// eventually waits until check returns nil.
func (s *system) eventually(what string, check func(ctx context.Context) error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.t.Fatalf("%s: %v", what, err)
		}
	}
}

// get reads JSON from the API.
func (s *system) get(url string, into any) (status int) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := s.client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		s.t.Fatalf("GET %s: %v", url, err)
	}
	return response.StatusCode
}

func (s *system) publish(messages ...proto.Message) {
	s.t.Helper()
	for _, m := range messages {
		if err := s.publisher.Publish(s.t.Context(), m); err != nil {
			s.t.Fatal(err)
		}
	}
}

var epoch = time.Now().UTC().Add(-time.Hour).Truncate(time.Second)

func event(jobID, stage string, ordinal int32, name string, second int, set func(*resiliencyv1.PhaseEvent)) *resiliencyv1.PhaseEvent {
	e := &resiliencyv1.PhaseEvent{
		JobId: jobID, Attempt: 1, Name: name, OccurredAt: timestamppb.New(epoch.Add(time.Duration(second) * time.Second)),
		Stage: &resiliencyv1.Stage{Name: stage, Ordinal: ordinal}, Source: resiliencyv1.Source_SOURCE_SDK, CorrelationId: "req-1",
	}
	set(e)
	e.EventId = job.EventID(jobID, stage, name, fmt.Sprintf("%T", e.GetEvent()))
	return e
}

func started(e *resiliencyv1.PhaseEvent) {
	e.Event = &resiliencyv1.PhaseEvent_Started{Started: &resiliencyv1.PhaseStarted{}}
}

func oom(e *resiliencyv1.PhaseEvent) {
	e.Event = &resiliencyv1.PhaseEvent_Ended{Ended: &resiliencyv1.PhaseEnded{
		Outcome: resiliencyv1.PhaseOutcome_PHASE_OUTCOME_FAILED, Cause: &resiliencyv1.CauseDetail{Cause: job.CauseOOM, Container: "main"},
	}}
}

// fail makes the record of a job that failed.
func (s *system) fail(jobID string) {
	s.t.Helper()
	_, err := s.records.Apply(s.t.Context(), &job.Observation{
		EventID: "e-" + jobID, JobID: jobID, Attempt: 1, Stage: job.StageKubernetes, Ordinal: job.OrdinalKubernetes, Owner: "ana", Tenant: "video",
		OccurredAt: epoch.Add(20 * time.Second), Kind: job.KindStatus, State: job.StateFailed, Evidence: job.EvidenceCondition,
		Cause: job.CauseDetail{Cause: job.CauseOOM, Container: "main"},
	})
	if err != nil {
		s.t.Fatal(err)
	}
}
