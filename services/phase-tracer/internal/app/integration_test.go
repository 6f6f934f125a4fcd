//go:build integration

package app

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/messaging/topology"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/phase-tracer/internal/timeline"
)

// What is published in any order, twice and with the end first, is one timeline
// with its explanation; the log witness is a witness beside the other; both kinds
// of messages are stored, and what a tenant wants is when they expire.
func TestIntegration_FromMessagesToTheTimeline(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.fail("j-1")
	api, stop := s.start(map[string]string{"PHASE_TTL_TENANTS": "video=48h"})
	end := event("j-1", "kubernetes", 30, "infer", 20, oom)
	condition := event("j-1", "kubernetes", 30, "job.condition.Failed", 21, func(e *resiliencyv1.PhaseEvent) {
		e.Source = resiliencyv1.Source_SOURCE_EVENT_STREAMER
		e.Event = &resiliencyv1.PhaseEvent_Noted{Noted: &resiliencyv1.PhaseNoted{Level: resiliencyv1.NoteLevel_NOTE_LEVEL_ERROR}}
	})
	witnessed := proto.CloneOf(condition)
	witnessed.Source = resiliencyv1.Source_SOURCE_LOG_WITNESS
	update := &resiliencyv1.JobUpdate{
		EventId: "u-1", JobId: "j-1", Attempt: 1, OccurredAt: end.GetOccurredAt(), Revision: 1, State: job.StateFailed, Text: "Job j-1 failed.",
		Stage: end.GetStage(), Source: resiliencyv1.Source_SOURCE_STATUS_UPDATER, Event: &resiliencyv1.JobUpdate_Failed{Failed: &resiliencyv1.JobFailed{}},
	}
	s.publish(end, end, condition, update, witnessed, event("j-1", "kubernetes", 30, "infer", 3, started), event("j-1", "backend", 10, "save", 1, started))
	var got struct {
		timeline.Timeline
		Explanation timeline.Explanation `json:"explanation"`
	}
	s.eventually("the timeline is whole", func(context.Context) error {
		got.Timeline, got.Explanation = timeline.Timeline{}, timeline.Explanation{}
		if s.get(api+"/api/jobs/j-1", &got); got.Cut.Stored != 5 || len(got.Facts) != 1 || len(got.Facts[0].Witnesses) != 2 {
			return fmt.Errorf("%d stored, facts %+v", got.Cut.Stored, got.Facts)
		}
		return nil
	})
	if len(got.Lanes) != 2 || got.Lanes[1].Spans[0].State != timeline.StateFailed || *got.Lanes[1].Spans[0].Duration != 17*time.Second {
		t.Errorf("lanes %+v", got.Lanes)
	}
	if got.Stop.Phase != "infer" || got.Status.Owner != "ana" || len(got.Updates) != 1 || got.Updates[0].Text != "Job j-1 failed." {
		t.Errorf("stop %+v, status %+v, updates %+v", got.Stop, got.Status, got.Updates)
	}
	for _, want := range []string{"failed in stage kubernetes, in phase infer", "out of memory, container main", "belongs to ana", "final"} {
		if !strings.Contains(got.Explanation.Text(), want) {
			t.Errorf("explanation lacks %q: %s", want, got.Explanation.Text())
		}
	}
	var phases struct {
		Phases []struct {
			ExpireAt   time.Time       `json:"expire_at"`
			PhaseEvent json.RawMessage `json:"phase_event"`
		} `json:"phases"`
	}
	s.get(api+"/api/jobs/j-1/phases", &phases)
	if len(phases.Phases) != 5 || time.Until(phases.Phases[0].ExpireAt) > 48*time.Hour || !strings.Contains(string(phases.Phases[0].PhaseEvent), `"save"`) {
		t.Errorf("phases %s", phases.Phases)
	}
	stop() // what was counted is written
	api, _ = s.start(nil)
	var durations struct {
		Rows []struct {
			Stage, Phase  string
			Count, Failed int64
			P50           time.Duration `json:"p50_ns"`
		} `json:"rows"`
	}
	s.get(api+"/api/ledger?window=6h", &durations)
	if len(durations.Rows) != 1 || durations.Rows[0].Count != 1 || durations.Rows[0].Failed != 1 || durations.Rows[0].P50.Round(time.Second) != 17*time.Second {
		t.Errorf("durations %+v", durations.Rows)
	}
}

// Jobs are found, and who asks for what there is not is told so.
func TestIntegration_Search(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for i := range 7 {
		s.fail(fmt.Sprintf("j-%d", i))
	}
	api, _ := s.start(nil)
	var page struct {
		Jobs []struct {
			JobID string `json:"job_id"`
		} `json:"jobs"`
		Next string `json:"next_cursor"`
	}
	seen := map[string]bool{}
	for cursor := ""; ; cursor = page.Next {
		page.Jobs, page.Next = nil, ""
		if status := s.get(api+"/api/jobs?state=FAILED&owner=ana&limit=3&cursor="+cursor, &page); status != http.StatusOK {
			t.Fatalf("status %d", status)
		}
		for _, j := range page.Jobs {
			seen[j.JobID] = true
		}
		if page.Next == "" {
			break
		}
	}
	if len(seen) != 7 {
		t.Errorf("found %v", seen)
	}
	var failure struct {
		Error struct{ Code, Message string } `json:"error"`
	}
	for path, want := range map[string]int{
		"/api/jobs?stat=FAILED": 400, "/api/jobs?state=BAD": 400, "/api/jobs?limit=0": 400, "/api/jobs?cursor=forged": 400,
		"/api/jobs?prefix=a%2Fb": 400, "/api/jobs?owner=%00": 400, "/api/jobs?owner=%ff": 400, "/api/jobs?state=FAILED&state=FAILED": 400,
		"/api/jobs/nobody": 404, "/api/jobs/nobody/phases": 404, "/api/jobs/nobody/events": 404, "/api/jobs/nobody/explain": 404,
		"/api/jobs/..%2fx": 404, "/api/jobs/j-1/phases?cursor=forged": 400, "/api/ledger?window=1y": 400, "/api/ledger?window=-1h": 400,
	} {
		if status := s.get(api+path, &failure); status != want || failure.Error.Message == "" {
			t.Errorf("%s: %d %+v, want %d", path, status, failure.Error, want)
		}
	}
}

// A job is followed to its end.
func TestIntegration_Follow(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	api, _ := s.start(nil)
	s.publish(event("j-1", "backend", 10, "save", 1, started))
	s.eventually("the first phase is stored", func(context.Context) error {
		if status := s.get(api+"/api/jobs/j-1", new(json.RawMessage)); status != http.StatusOK {
			return fmt.Errorf("status %d", status)
		}
		return nil
	})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, api+"/api/jobs/j-1/events", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := s.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if got := response.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("content type %s", got)
	}
	var events []string
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		name, ok := strings.CutPrefix(lines.Text(), "event: ")
		if !ok {
			continue
		}
		if events = append(events, name); len(events) == 1 {
			s.fail("j-1")
		}
	}
	if got := strings.Join(events, " "); got != "change change end" && got != "change end" {
		t.Errorf("events %s", got)
	}
}

// What cannot be stored becomes a dead letter and holds nothing up.
func TestIntegration_BadInput(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	api, _ := s.start(nil)
	hostile := "<script>alert(1)</script>\u202e\u0000\x1b[31m"
	raw := func(data []byte) {
		if err := s.publisher.PublishRaw(t.Context(), topology.TopicJobPhases, data, nil); err != nil {
			t.Fatal(err)
		}
	}
	raw([]byte("garbage"))
	raw([]byte{0x0a, 0x02, 0xff, 0xfe}) // an event id that is no UTF-8
	s.publish(
		event("../x", "backend", 10, "a", 1, started), event("j-1", "backend", 10, "", 1, started),
		event("j-1", "backend", 10, hostile, 1, started),
		event("j-1", "backend", 10, "far-ahead", 24*3600, started),
		event("j-1", "backend", 10, "big", 2, func(e *resiliencyv1.PhaseEvent) { e.Message = strings.Repeat("x", 1<<20); started(e) }),
	)
	var got timeline.Timeline
	s.eventually("what can be stored is", func(context.Context) error {
		if s.get(api+"/api/jobs/j-1", &got); got.Cut.Stored != 2 {
			return fmt.Errorf("%d stored", got.Cut.Stored)
		}
		return nil
	})
	if got.Lanes[0].Spans[0].Name != hostile || got.Lanes[0].Spans[1].Details["truncated"] == "" {
		t.Errorf("spans %+v", got.Lanes[0].Spans)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	letters := make(chan string, 100)
	_ = s.broker.Subscriber(topology.SubscriptionDeadLettersDLQHandler).Receive(ctx, func(_ context.Context, m *pubsub.Message) {
		m.Ack()
		if letters <- m.Attributes["dead_letter_reason"]; len(letters) == 5 {
			cancel()
		}
	})
	if len(letters) != 5 {
		t.Errorf("%d dead letters, want 5", len(letters))
	}
}

// The pages stay when messages can no longer come: they read Firestore alone, and are
// looked at just then.
func TestIntegration_ReadyWithoutSubscriptions(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.fail("j-1")
	api, _ := s.start(nil)
	admin := "http://" + regexp.MustCompile(`"admin_addr":"([^"]+)"`).FindStringSubmatch(s.out.String())[1]
	var readiness json.RawMessage
	// It listens before it has looked for the subscriptions, without which it does not start.
	s.eventually("the service has started", func(context.Context) error {
		if status := s.get(admin+"/readyz", &readiness); status != http.StatusOK {
			return fmt.Errorf("%d %s", status, readiness)
		}
		return nil
	})
	for _, name := range []string{topology.SubscriptionJobPhasesPhaseTracer, topology.SubscriptionJobUpdatesPhaseTracer} {
		request := &pubsubpb.DeleteSubscriptionRequest{Subscription: topology.SubscriptionName(s.project, name)}
		if err := s.broker.SubscriptionAdminClient.DeleteSubscription(t.Context(), request); err != nil {
			t.Fatal(err)
		}
		s.eventually(name+" cannot be pulled", func(context.Context) error {
			for line := range strings.Lines(s.out.String()) {
				if strings.Contains(line, "pull broke off") && strings.Contains(line, name) {
					return nil
				}
			}
			return errors.New("not yet")
		})
	}
	if status := s.get(admin+"/readyz", &readiness); status != http.StatusOK {
		t.Errorf("not ready: %d %s", status, readiness)
	}
	if status := s.get(api+"/api/jobs/j-1", new(json.RawMessage)); status != http.StatusOK {
		t.Errorf("a timeline: status %d", status)
	}
}
