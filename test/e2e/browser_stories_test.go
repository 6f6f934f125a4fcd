//go:build integration

package e2e

import (
	"fmt"
	"strings"
	"time"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/test/deadmail"
)

// stories are letters of some hours, with the jobs that they are about.
type stories struct {
	// contended died of contention, newest first; lost of Firestore's absence, and
	// was the end of its job; finished is another of those.
	contended      []string
	lost, finished string
}

// Jobs that letters are about.
const (
	jobUnreadable = "faces-2041"
	jobHostile    = "hostile-1"
)

// story is one letter.
type story struct {
	ago        time.Duration
	job        string
	tenant     string
	state      job.State
	reason     string
	category   resilience.Category
	dependency string
	count      int64
	cleanup    letters.Cleanup
	closed     letters.State
}

// storeStories stores letters as dlq-handler would have over some hours.
func (s *system) storeStories() stories {
	s.t.Helper()
	told := stories{lost: "render-7718", finished: "render-7702"}
	list := []story{
		{
			ago: 12 * time.Minute, job: told.lost, tenant: "studio", state: job.StateSucceeded, count: 1,
			reason:   "commit job render-7718: Firestore does not answer: rpc error: code = Unavailable desc = connection refused",
			category: resilience.CategoryDependency, dependency: "firestore",
			cleanup: letters.Cleanup{Action: "applied", Text: "The job's end, SUCCEEDED, was applied to its record."},
		},
		{
			ago: 14 * time.Minute, job: told.finished, tenant: "studio", state: job.StateSucceeded, count: 3,
			reason:   "commit job render-7702: Firestore does not answer: rpc error: code = Unavailable desc = connection refused",
			category: resilience.CategoryDependency, dependency: "firestore",
			cleanup: letters.Cleanup{Action: "already_known", Text: "The job's record says so already."},
		},
		{
			ago: 3 * time.Hour, job: jobUnreadable, tenant: "portraits", state: job.StateRunning, count: 1,
			reason:   "decode envision.resiliency.v1.JobEvent: occurred_at lies 3h0m0s ahead, more than 10m0s",
			category: resilience.CategoryPermanent, cleanup: letters.Cleanup{Action: "kept", Text: "The job has a record; nothing was changed."},
		},
		{
			ago: 25 * time.Minute, job: "train-0093", tenant: "research", state: job.StateRunning, count: 12, closed: letters.StateReplayed,
			reason:   "commit job train-0093: rpc error: code = ResourceExhausted desc = quota exceeded",
			category: resilience.CategoryRetryable, cleanup: letters.Cleanup{Action: "kept", Text: "The job has a record; nothing was changed."},
		},
		{
			ago: 31 * time.Minute, job: "train-0088", tenant: "research", state: job.StatePending, count: 1, closed: letters.StateDiscarded,
			reason:   "decode envision.resiliency.v1.JobEvent: attempt 0 is not between 1 and 100",
			category: resilience.CategoryPermanent, cleanup: letters.Cleanup{Action: "record_made", Text: "The job had no record; it has one now."},
		},
	}
	for n := range 4 {
		id := fmt.Sprintf("render-%d", 7731-n)
		told.contended = append(told.contended, id)
		list = append(list, story{
			ago: 40*time.Minute + time.Duration(n)*7*time.Second, job: id, tenant: "studio", state: job.StateRunning, count: int64(1 + n%2),
			reason:   "commit job " + id + ": rpc error: code = Aborted desc = too much contention on these documents",
			category: resilience.CategoryRetryable, cleanup: letters.Cleanup{Action: "kept", Text: "The job has a record; nothing was changed."},
		})
	}
	for n, one := range list {
		s.store(n, &one)
	}
	return told
}

func (s *system) store(n int, one *story) {
	s.t.Helper()
	at := time.Now().Add(-one.ago)
	event := deadmail.Event(n, at)
	event.JobID, event.Tenant, event.State, event.CorrelationID = one.job, one.tenant, one.state, "upload-"+one.job
	event.EventID = job.EventID("story", one.job)
	event.OutputURI, event.Kubernetes.Name, event.Kubernetes.Namespace = "gs://outputs/"+one.job+"/", one.job, one.tenant
	if job.Terminal(one.state) {
		event.Evidence = resiliencyv1.Evidence_EVIDENCE_CONDITION
	}
	l, err := deadmail.OpenLetter(&event, at)
	if err != nil {
		s.t.Fatal(err)
	}
	l.Reason, l.Category, l.Dependency, l.Count, l.Cleanup = one.reason, one.category, one.dependency, one.count, one.cleanup
	l.FirstSeenAt = l.LastSeenAt.Add(-time.Duration(one.count-1) * time.Minute)
	l.Cleanup.At = l.FirstSeenAt
	l.Fingerprint = strings.ReplaceAll(job.EventID(strings.ReplaceAll(one.reason, one.job, "")), "-", "")[:16]
	l.History[0].At, l.History[0].Reason = l.FirstSeenAt, l.Reason
	if one.closed != "" {
		deadmail.Close(&l, one.closed, at.Add(10*time.Minute))
	}
	if _, err := s.firestore.Collection("dead_letters").Doc(l.ID).Create(s.t.Context(), &l); err != nil {
		s.t.Fatalf("store the letter of job %s: %v", one.job, err)
	}
}

// hostileTexts would do something on a page that does not expect them.
func hostileTexts() []string {
	return []string{
		`<script>document.title = "owned"</script>`,
		`<img src=x onerror="document.title='owned'">`,
		`"><svg onload=alert(1)>`,
		"\u202Etxt.elif\u202C \u2066isolated\u200B\uFEFF",
		`javascript:alert(1)`,
		strings.Repeat("W", 400),
		"{{.Data}} ${7*7} </pre></code></table>",
	}
}

// buryHostile sends a letter with such texts wherever a publisher can put one,
// waits until it is kept, and returns its id.
func (s *system) buryHostile() (id string) {
	s.t.Helper()
	all := strings.Join(hostileTexts(), " ")
	attributes := map[string]string{
		messaging.AttributeJobID: jobHostile, messaging.AttributeCorrelationID: messaging.Cut(all, 900),
		messaging.AttributeDeadLetterReason:       messaging.Cut(all, 1000),
		messaging.AttributeDeadLetterSubscription: topology.SubscriptionJobEventsStatusUpdater,
		messaging.AttributeDeadLetterCategory:     string(resilience.CategoryPermanent),
	}
	for n, text := range hostileTexts() {
		attributes[fmt.Sprintf("key %d %.40s", n, text)] = text
	}
	s.send(topology.TopicDeadLetters, []byte(all), attributes)
	s.eventually("the hostile letter", func() (bool, string) {
		docs, err := s.firestore.Collection("dead_letters").Where("job_id", "==", jobHostile).Documents(s.t.Context()).GetAll()
		if err != nil || len(docs) == 0 {
			return false, fmt.Sprint(err)
		}
		id = docs[0].Ref.ID
		return true, id
	})
	return id
}
