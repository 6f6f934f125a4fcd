//go:build integration

package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
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
	"github.com/envision/resiliency/pkg/jobstore/letters"
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
	letters   *letters.Store
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
	s := &system{t: t, project: "dlq-" + uuid.NewString()[:8], out: &buffer{}}
	var err error
	if s.broker, err = messaging.NewClient(t.Context(), s.project); err != nil {
		t.Fatal(err)
	}
	if s.documents, err = jobstore.NewClient(t.Context(), s.project, ""); err != nil {
		t.Fatal(err)
	}
	s.publisher = messaging.NewPublisher(s.broker, messaging.PublisherConfig{}, nil, zerolog.Nop())
	s.letters = letters.New(s.documents, letters.Config{Timeout: patience}, nil)
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
		"FIRESTORE_TIMEOUT": "20s", "SHUTDOWN_BUDGET": "10s", "OPERATION_LEASE": "1s", "AUTO_REPLAY_DEPENDENCIES": none,
		"NOTIFY_FLUSH_EVERY": "50ms",
	}
	for k, v := range env {
		full[k] = v
	}
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
	address := regexp.MustCompile(`"http_addr":"([^"]+)"`)
	s.eventually("the API listens", func(context.Context) error {
		found := address.FindAllStringSubmatch(s.out.String(), -1)
		if len(found) == 0 {
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

// die publishes a message to the dead letters as a subscriber does.
func (s *system) die(subscription string, data []byte, more map[string]string) {
	s.t.Helper()
	attributes := map[string]string{
		"dead_letter_subscription": subscription, "dead_letter_reason": "as the test wants it", "dead_letter_category": "permanent",
	}
	for k, v := range more {
		attributes[k] = v
	}
	if err := s.publisher.PublishRaw(s.t.Context(), topology.TopicDeadLetters, data, attributes); err != nil {
		s.t.Fatal(err)
	}
}

// letter waits for the one letter of a job in a state.
func (s *system) letter(jobID string, state letters.State) (found letters.Letter) {
	s.t.Helper()
	s.eventually("a letter of "+jobID+" that is "+string(state), func(ctx context.Context) error {
		page, err := s.letters.List(ctx, letters.Filter{JobID: jobID, State: state}, nil, 10)
		if err != nil || len(page.Letters) != 1 {
			return fmt.Errorf("%d letters, %w", len(page.Letters), err)
		}
		if found = page.Letters[0]; len(found.Pending) > 0 {
			return fmt.Errorf("steps %v are left", found.Pending)
		}
		return nil
	})
	return found
}

// next is the next message of a subscription for a job.
func (s *system) next(subscription, jobID string) *pubsub.Message {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	got := make(chan *pubsub.Message, 100)
	_ = s.broker.Subscriber(subscription).Receive(ctx, func(_ context.Context, m *pubsub.Message) {
		m.Ack()
		if m.Attributes["job_id"] == jobID {
			got <- m
			cancel()
		}
	})
	select {
	case m := <-got:
		return m
	default:
		s.t.Fatalf("no message of job %s in %s", jobID, subscription)
		return nil
	}
}

func ended(jobID string) []byte {
	data, _ := proto.Marshal(&resiliencyv1.JobEvent{
		EventId: uuid.NewString(), OccurredAt: timestamppb.New(time.Now().Add(-time.Minute)), JobId: jobID, Attempt: 1,
		Stage: &resiliencyv1.Stage{Name: "kubernetes", Ordinal: 30}, Description: &resiliencyv1.JobDescription{Tenant: "t1"},
		Event: &resiliencyv1.JobEvent_StatusObserved{StatusObserved: &resiliencyv1.JobStatusObserved{
			State: job.StateSucceeded, Evidence: job.EvidenceCondition,
		}},
	})
	return data
}

// post calls the API as a script would.
func (s *system) post(url string, body string) map[string]any {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Close = true // no idle connection is left behind
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 300 {
		s.t.Fatalf("POST %s = %d %s, %v", url, response.StatusCode, text, err)
	}
	out := map[string]any{}
	if err := json.Unmarshal(text, &out); err != nil {
		s.t.Fatalf("POST %s = %s", url, text)
	}
	return out
}

const updater = topology.SubscriptionJobEventsStatusUpdater

func TestService_LetterToReplayToLetter(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	api, _ := s.start(nil)
	data := ended("j-1")
	s.die(updater, data, map[string]string{"job_id": "j-1"})
	l := s.letter("j-1", letters.StateOpen)
	if l.Cleanup.Action != "applied" || l.Tenant != "t1" || l.Subscription != updater {
		t.Errorf("letter %+v", l)
	}
	snap, err := s.documents.Doc("jobs/j-1").Get(t.Context())
	if err != nil || snap.Data()["state"] != "SUCCEEDED" {
		t.Errorf("record %v, %v", snap.Data()["state"], err)
	}
	if m := s.next(topology.SubscriptionJobUpdatesProduct, "j-1"); m.Attributes["type"] != "envision.resiliency.v1.JobUpdate" {
		t.Errorf("update %v", m.Attributes)
	}
	var phase resiliencyv1.PhaseEvent
	if err := proto.Unmarshal(s.next(topology.SubscriptionJobPhasesPhaseTracer, "j-1").Data, &phase); err != nil || phase.GetDeadLettered().GetLetterId() != l.ID {
		t.Errorf("phase %v, %v", &phase, err)
	}
	if got := s.post(api+"/api/letters/"+l.ID+"/replay", `{"reason":"mended"}`); got["outcome"] != "replayed" {
		t.Errorf("replay: %v", got)
	}
	m := s.next(updater, "j-1")
	if !bytes.Equal(m.Data, data) || m.Attributes["replay_target"] != updater || m.Attributes["dead_letter_reason"] != "" {
		t.Errorf("replayed message %v", m.Attributes)
	}
	if got := s.post(api+"/api/letters/"+l.ID+"/replay", `{"reason":"again"}`); got["outcome"] != "already_replayed" {
		t.Errorf("a second replay: %v", got)
	}
	s.die(updater, m.Data, m.Attributes)
	again := s.letter("j-1", letters.StateOpen)
	if again.ID != l.ID || again.Episode != 2 || again.Count != 2 || again.Cleanup.Action != "already_known" {
		t.Errorf("died again: %+v", again)
	}
}

func TestService_ReplayByFilterSurvivesARestart(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	api, stop := s.start(nil)
	const n = 30
	for i := range n {
		s.die(updater, ended(fmt.Sprintf("j-%d", i)), map[string]string{"job_id": fmt.Sprintf("j-%d", i)})
	}
	for i := range n {
		s.letter(fmt.Sprintf("j-%d", i), letters.StateOpen)
	}
	count := func(state letters.State) int64 {
		got, err := s.letters.Count(t.Context(), letters.Filter{State: state})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	operation := s.post(api+"/api/replays", `{"filter":{"subscription":"`+updater+`"},"rate":10,"reason":"mended"}`)
	s.eventually("some are sent", func(context.Context) error {
		if count(letters.StateReplayed) < 5 {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	stop()
	if left := count(letters.StateOpen); left == 0 || count(letters.StateReplaying) != 0 {
		t.Errorf("%d letters are left open at the restart", left)
	}
	s.start(nil)
	id, _ := operation["id"].(string)
	s.eventually("the operation ends", func(ctx context.Context) error {
		o, err := s.letters.GetOperation(ctx, id)
		if err != nil || o.State != letters.OperationDone {
			return fmt.Errorf("it is %s: %w", o.State, err)
		}
		if o.Replayed != n || o.Failed+o.Skipped != 0 {
			t.Errorf("operation %+v", o)
		}
		return nil
	})
	if got := count(letters.StateReplayed); got != n {
		t.Errorf("%d of %d letters were replayed", got, n)
	}
}

func TestService_DependencyLettersGoByThemselves(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.start(map[string]string{"AUTO_REPLAY_DEPENDENCIES": "firestore", "AUTO_REPLAY_AFTER": "2s", "AUTO_REPLAY_EVERY": "200ms", "AUTO_REPLAY_RATE": "50"})
	for i := range 20 {
		s.die(updater, ended(fmt.Sprintf("j-%d", i)), map[string]string{"dead_letter_category": "dependency", "dead_letter_dependency": "firestore"})
	}
	s.die(updater, ended("j-x"), nil)
	for i := range 20 {
		if l := s.letter(fmt.Sprintf("j-%d", i), letters.StateReplayed); l.AutoReplays != 1 {
			t.Errorf("letter %+v", l)
		}
	}
	s.letter("j-x", letters.StateOpen)
}

func TestService_BadInputIsKept(t *testing.T) {
	t.Parallel()
	if os.Getenv("STORAGE_EMULATOR_HOST") == "" || os.Getenv("OUTPUT_BUCKET") == "" {
		t.Fatal("STORAGE_EMULATOR_HOST and OUTPUT_BUCKET are not set: integration tests need the GCS server")
	}
	s := newSystem(t)
	s.start(map[string]string{"LETTERS_BUCKET": os.Getenv("OUTPUT_BUCKET")})
	big := bytes.Repeat([]byte("<script>\xff"), 1_000_000)
	s.die(updater, []byte("garbage"), map[string]string{"job_id": "j-garbage"})
	s.die(updater, big, map[string]string{"job_id": "j-big"})
	s.die("forged", ended("j-forged"), map[string]string{"type": "envision.resiliency.v1.JobEvent", "job_id": "j-forged"})
	s.die(updater, nil, map[string]string{"job_id": "j-empty", "__x__": "<b>", "k": strings.Repeat("v", 1024)})
	if l := s.letter("j-garbage", letters.StateOpen); l.Cleanup.Action != "record_made" {
		t.Errorf("letter %+v", l)
	}
	if l := s.letter("j-big", letters.StateOpen); !strings.HasPrefix(l.PayloadURI, "gs://") || l.PayloadSize != int64(len(big)) {
		t.Errorf("letter %+v", l)
	}
	if l := s.letter("j-forged", letters.StateOpen); l.Cleanup.Action != "kept" || l.Subscription != letters.Unknown || l.Tenant != "" {
		t.Errorf("letter %+v", l)
	}
	s.letter("j-empty", letters.StateOpen)
	if _, err := s.documents.Doc("jobs/j-forged").Get(t.Context()); err == nil {
		t.Error("a forged letter made a record")
	}
}
