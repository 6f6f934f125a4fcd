//go:build integration

package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/test/drive"
	"github.com/envision/resiliency/test/stack/proxy"
)

// refuse makes every commit of one job's record come back as contended, which is
// the record's own trouble and no sign that Firestore is down.
func (s *system) refuse(jobID string) (letGo func()) {
	return shared.Firestore.Inject(proxy.Fault{
		Project: s.ID, Method: "Commit", Contains: "/documents/jobs/" + jobID, Code: codes.Aborted,
	})
}

// What died is kept and its job cleaned up, whichever subscription it died in
// and whether by its own fault or by that of a record that takes no commit; and
// once the record takes commits, a replay by filter brings every job right.
func TestDeadLettersOfEachSubscription(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "letters", updater)
	s.startHandler()
	phases := s.collectPhases()
	s.publish("runs-already", wire(t, fact("runs-already")))
	s.awaitState("runs-already", "RUNNING")

	refused := []string{"end-refused", "start-refused", "entry-refused"}
	var letGo []func()
	for _, id := range refused {
		letGo = append(letGo, s.refuse(id))
	}
	s.send(topology.TopicJobEvents, []byte("\xff\xff no event"),
		map[string]string{"type": typeJobEvent, "job_id": "event-garbage", "correlation_id": "c-1"})
	s.send(topology.TopicJobLogEntries, []byte(`{"half of an entr`), nil)
	s.send(topology.TopicJobEvents, wire(t, fact("end-refused", succeeded)), map[string]string{"type": typeJobEvent})
	s.send(topology.TopicJobEvents, wire(t, fact("start-refused")), map[string]string{"type": typeJobEvent})
	s.send(topology.TopicJobLogEntries, logEntry(t, fact("entry-refused", succeeded)), nil)

	s.expectGarbage(phases)
	s.expectRefused(phases)
	s.expectOneMessageEach()
	s.expectDiesAgain("start-refused")
	for _, f := range letGo {
		f()
	}
	s.expectTruthApplied("end-refused")
	s.expectReplayMends(refused)
}

// expectGarbage looks at the letters of what could not be read.
func (s *system) expectGarbage(phases *phases) {
	s.t.Helper()
	l := s.awaitLetter("event-garbage", "to be cleaned up", finished)
	s.expectLetter(&l, topology.SubscriptionJobEventsStatusUpdater, typeJobEvent, "permanent")
	if string(l.Detail.Payload) != "\xff\xff no event" || l.attribute("correlation_id") != "c-1" {
		s.t.Errorf("the letter holds %q and %v, which is not the message", l.Detail.Payload, l.Detail.Attributes)
	}
	if !strings.Contains(l.Detail.Decoded, "ff ff 20 6e") {
		s.t.Errorf("what cannot be read is not shown in hex: %q", l.Detail.Decoded)
	}
	if l.Cleanup.Action != "record_made" || s.document("event-garbage") == nil {
		s.t.Errorf("the job that it names was not put on record: %q", l.Cleanup.Action)
	}
	phases.expect(s, "event-garbage", l.ID, l.Reason)

	entry := s.awaitOne(map[string]string{"subscription": topology.SubscriptionJobLogEntriesStatusUpdater, "category": "permanent"})
	s.expectLetter(&entry, topology.SubscriptionJobLogEntriesStatusUpdater, "google.logging.LogEntry", "permanent")
	if string(entry.Detail.Payload) != `{"half of an entr` || !strings.Contains(entry.Detail.Decoded, "half of an entr") || entry.Cleanup.Action != "kept" {
		s.t.Errorf("letter of the log entry: %+v", entry)
	}
}

// expectRefused looks at the letters of what no record took.
func (s *system) expectRefused(phases *phases) {
	s.t.Helper()
	end := s.awaitLetter("end-refused", "to be stored", func(l *letter) bool { return l.State == "OPEN" })
	s.expectLetter(&end, topology.SubscriptionJobEventsStatusUpdater, typeJobEvent, "retryable")
	if end.Attempts != 5 || !strings.Contains(end.Detail.Decoded, "JOB_STATE_SUCCEEDED") {
		s.t.Errorf("%d attempts, decoded as %s", end.Attempts, end.Detail.Decoded)
	}
	phases.expect(s, "end-refused", end.ID, end.Reason)
	start := s.awaitLetter("start-refused", "to be stored", func(l *letter) bool { return l.State == "OPEN" })
	if start.Fingerprint != end.Fingerprint {
		s.t.Errorf("one cause has two fingerprints: %q and %q", start.Reason, end.Reason)
	}
	entry := s.awaitOne(map[string]string{"subscription": topology.SubscriptionJobLogEntriesStatusUpdater, "category": "retryable"})
	if entry.Cleanup.Action != "kept" || !strings.Contains(entry.Detail.Decoded, "entry-refused") {
		s.t.Errorf("letter of the log entry: %+v", entry)
	}
	for _, id := range []string{"end-refused", "start-refused", "entry-refused"} {
		if doc := s.document(id); doc != nil {
			s.t.Errorf("job %s has a record though every commit is refused: %v", id, doc)
		}
	}
	// dlq-handler's own commit is refused as well: the step stays to be done, and
	// the letter in its subscription.
	s.eventually("the clean-up to be tried and to fail", func() (bool, string) {
		n := s.counted(handler, "dlq_handler_cleanups_total", map[string]string{"action": "error"})
		return n > 2, formatFloat(n)
	})
	if l := s.open(end.ID); !slices.Contains(l.Pending, "cleanup") || l.State != "OPEN" {
		s.t.Errorf("a clean-up that was refused is not pending: %v", l.Pending)
	}
}

// expectLetter checks what every letter must say.
func (s *system) expectLetter(l *letter, subscription, kind, category string) {
	s.t.Helper()
	if l.Subscription != subscription || l.Type != kind || l.Category != category || l.State != "OPEN" {
		s.t.Errorf("letter %s is of %s, %s, %s, %s; want %s, %s, %s, OPEN", l.ID,
			l.Subscription, l.Type, l.Category, l.State, subscription, kind, category)
	}
	if l.Reason == "" || l.Fingerprint == "" || l.Detail.Decoded == "" || l.PayloadSize == 0 || len(l.Detail.History) == 0 {
		s.t.Errorf("letter %s lacks something: %+v", l.ID, l)
	}
}

// expectOneMessageEach expects one message in Slack for each of the four causes.
func (s *system) expectOneMessageEach() {
	s.t.Helper()
	counts := []int{}
	for _, m := range s.awaitSlack(shared.Slack, s.SlackChannel(), 5) {
		counts = append(counts, m.count)
	}
	slices.Sort(counts)
	if !slices.Equal(counts, []int{1, 1, 1, 2}) {
		s.t.Errorf("messages in Slack count %v letters, want one message for each of four causes with 1, 1, 1 and 2", counts)
	}
}

// expectDiesAgain replays a letter whose record still takes no commit.
func (s *system) expectDiesAgain(id string) {
	s.t.Helper()
	l := s.awaitLetter(id, "to be open", func(l *letter) bool { return l.State == "OPEN" })
	s.must(http.MethodPost, "/api/letters/"+l.ID+"/replay", map[string]string{"reason": "too early"}, http.StatusOK, nil)
	again := s.awaitLetter(id, "to be open again", func(l *letter) bool { return l.State == "OPEN" && l.Episode == 2 })
	history := again.happened()
	for _, want := range []string{"captured", "replay_began", "replayed", "died_again"} {
		if !slices.Contains(history, want) {
			s.t.Errorf("the history lacks %s: %v", want, history)
		}
	}
	if again.Replays != 1 || again.Count != 2 || again.ID != l.ID {
		s.t.Errorf("%d replays, died %d times; want 1 and 2", again.Replays, again.Count)
	}
	s.eventually("an entry in the audit log", func() (bool, string) {
		a := s.must(http.MethodGet, "/api/audit?target="+l.ID, nil, http.StatusOK, nil)
		return strings.Contains(string(a.body), "too early"), string(a.body)
	})
}

// expectTruthApplied waits until the end that never got through is applied.
func (s *system) expectTruthApplied(id string) {
	s.t.Helper()
	l := s.awaitLetter(id, "to be cleaned up", finished)
	if l.Cleanup.Action != "applied" {
		s.t.Errorf("clean-up is %q: %s", l.Cleanup.Action, l.Cleanup.Text)
	}
	s.awaitState(id, drive.Succeeded)
	if l := s.awaitLetter("start-refused", "to be cleaned up", finished); l.Cleanup.Action != "record_made" {
		s.t.Errorf("clean-up of a job that began is %q: %s", l.Cleanup.Action, l.Cleanup.Text)
	}
	if doc := s.document("start-refused"); doc["state"] == "RUNNING" {
		s.t.Error("a status that is no end was applied without a replay")
	}
}

// expectReplayMends replays all that died of the records, by filter.
func (s *system) expectReplayMends(jobs []string) {
	s.t.Helper()
	filter := map[string]string{"category": "retryable"}
	var dry preview
	s.must(http.MethodPost, "/api/replays", order{Filter: filter, DryRun: true}, http.StatusOK, &dry)
	if dry.Matched != len(jobs) || dry.Sends != len(jobs) || len(dry.Sample) != len(jobs) {
		s.t.Errorf("the dry run finds %+v, want %d letters", dry, len(jobs))
	}
	if replayed := s.awaitLetter(jobs[0], "to be listed", func(*letter) bool { return true }); replayed.Replays != 0 {
		s.t.Error("a dry run has sent a letter")
	}
	end, progress := s.replayAll(order{Filter: filter, Rate: 2, Reason: "the records take commits again"})
	if end.State != "DONE" || end.Replayed != len(jobs) || end.Failed+end.Skipped != 0 {
		s.t.Errorf("operation ended as %+v", end)
	}
	if len(progress) < 2 {
		s.t.Errorf("its progress could not be seen: %v", progress)
	}
	s.awaitState("end-refused", drive.Succeeded)
	s.awaitState("start-refused", "RUNNING")
	s.awaitState("entry-refused", drive.Succeeded)
	s.awaitState("runs-already", "RUNNING")
	for _, id := range jobs[:2] {
		s.awaitLetter(id, "to be replayed", func(l *letter) bool { return l.State == "REPLAYED" })
	}
	// Replaying twice is harmless and says so.
	l := s.awaitLetter(jobs[0], "to be listed", func(*letter) bool { return true })
	var twice struct {
		Outcome string `json:"outcome"`
		Text    string `json:"text"`
	}
	s.must(http.MethodPost, "/api/letters/"+l.ID+"/replay", nil, http.StatusOK, &twice)
	if twice.Outcome != "already_replayed" || twice.Text == "" {
		s.t.Errorf("a second replay is answered with %+v", twice)
	}
}

// awaitOne waits for the one letter that matches.
func (s *system) awaitOne(filter map[string]string) letter {
	s.t.Helper()
	var found letter
	s.eventually("one letter", func() (bool, string) {
		list := s.listed(values(filter))
		if len(list) == 1 {
			found = list[0]
		}
		return len(list) == 1 && finished(&found), formatFloat(float64(len(list)))
	})
	return s.open(found.ID)
}
