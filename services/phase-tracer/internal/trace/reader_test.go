package trace

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/jobstore/phases"
	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/phase-tracer/internal/timeline"
)

// What one source lacks hides nothing of the others.
func TestReader_Timeline(t *testing.T) {
	t.Parallel()
	type shown struct {
		Found, Known, Live   bool
		Spans, Sent, Letters int
		Cut                  timeline.Cut
	}
	letter := letters.Letter{ID: "l-1", State: letters.StateOpen, Count: 1}
	cases := []struct {
		name string
		lay  func(s *shelf)
		want shown
	}{
		{"nothing", func(*shelf) {}, shown{Live: true}},
		{"record_alone", func(s *shelf) { s.put(said()) }, shown{Found: true, Known: true, Live: true}},
		{"ended", func(s *shelf) { s.put(said(state(job.StateSucceeded, job.EvidenceStated))) }, shown{Found: true, Known: true}},
		{"phases_alone", func(s *shelf) { s.keep(noted("p-1", 2), noted("p-2", 3)) },
			shown{Found: true, Live: true, Spans: 2, Cut: timeline.Cut{Stored: 2, Read: 2, Spans: 2, Drawn: 2}}},
		{"updates_alone", func(s *shelf) { s.keep(told("u-1", 1)) },
			shown{Found: true, Live: true, Sent: 1, Cut: timeline.Cut{Stored: 1, Read: 1}}},
		{"letters_alone", func(s *shelf) { s.lay(letter) }, shown{Found: true, Live: true, Letters: 1}},
		{"unreadable_phases_alone", func(s *shelf) { s.phases.story = phases.Story{Total: 2, Unreadable: []string{"x", "y"}} },
			shown{Found: true, Live: true, Cut: timeline.Cut{Stored: 2}}},
		{"old_progress_not_read", func(s *shelf) {
			s.keep(noted("p-1", 2))
			s.phases.story.Total, s.phases.story.OlderProgress = 300, 299
		}, shown{Found: true, Live: true, Spans: 1, Cut: timeline.Cut{Stored: 300, Read: 1, Spans: 1, Drawn: 1, OlderProgress: 299}}},
		{"all", func(s *shelf) {
			s.put(said())
			s.keep(noted("p-1", 2), told("u-1", 1), noted("p-2", 3))
			s.phases.story.Total, s.phases.story.Unreadable = 4, []string{"x"}
			s.lay(letter)
		}, shown{Found: true, Known: true, Live: true, Spans: 2, Sent: 1, Letters: 1, Cut: timeline.Cut{Stored: 4, Read: 3, Spans: 2, Drawn: 2}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &shelf{}
			c.lay(s)
			got, found, err := s.reader().Timeline(t.Context(), jobID)
			if err != nil {
				t.Fatal(err)
			}
			if got.JobID != jobID || !got.BuiltAt.Equal(at(100)) {
				t.Errorf("timeline of %q as of %s", got.JobID, got.BuiltAt)
			}
			is := shown{Found: found, Known: got.Status.Known, Live: got.Live, Sent: len(got.Updates), Letters: len(got.Letters), Cut: got.Cut}
			is.Cut.Text = "" // in words, which are the timeline's
			for i := range got.Lanes {
				is.Spans += len(got.Lanes[i].Spans)
			}
			if diff := cmp.Diff(c.want, is); diff != "" {
				t.Errorf("timeline (-want +got):\n%s", diff)
			}
			if (got.Cut.Stored-got.Cut.OlderProgress > got.Cut.Read) != (got.Cut.Text != "") {
				t.Errorf("%d of %d are shown, and it says %q", got.Cut.Read, got.Cut.Stored, got.Cut.Text)
			}
		})
	}
}

func TestReader_TimelineReadsNoMoreThanItSays(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	if _, _, err := s.reader().Timeline(t.Context(), jobID); err != nil {
		t.Fatal(err)
	}
	if s.phases.limit != maxPhases || s.letters.limit != maxLetters {
		t.Errorf("asked for %d phases and %d letters", s.phases.limit, s.letters.limit)
	}
	// Of any state and tenant: who may see the job may see all that is on record of it.
	if diff := cmp.Diff(letters.Filter{JobID: jobID}, s.letters.filter); diff != "" {
		t.Errorf("letters asked for (-want +got):\n%s", diff)
	}
	for name, asked := range map[string][]string{"record": s.records.asked, "phases": s.phases.asked, "letters": s.letters.asked} {
		if !slices.Equal(asked, []string{jobID}) {
			t.Errorf("%s: asked for %q", name, asked)
		}
	}
}

// sources are all that a reader asks, by what is asked of them.
func (s *shelf) sources() map[string]*source {
	return map[string]*source{"record": &s.records.source, "phases": &s.phases.source, "letters": &s.letters.source}
}

// faults are errors of each category, as stores return them.
func faults() map[resilience.Category]error {
	cause := errors.New("as the test asks")
	return map[resilience.Category]error{
		resilience.CategoryPermanent:  resilience.Permanent(fmt.Errorf("read document: %w", cause)),
		resilience.CategoryRetryable:  resilience.Retryable(fmt.Errorf("read document: %w", cause)),
		resilience.CategoryDependency: resilience.Dependency("firestore", fmt.Errorf("read document: %w", cause)),
	}
}

func checkFault(t *testing.T, err, fault error) {
	t.Helper()
	if !errors.Is(err, fault) || resilience.CategoryOf(err) != resilience.CategoryOf(fault) ||
		resilience.DependencyOf(err) != resilience.DependencyOf(fault) {
		t.Errorf("%v (%s), want that of the source: %v (%s)", err, resilience.CategoryOf(err), fault, resilience.CategoryOf(fault))
	}
	if err == nil || !strings.Contains(err.Error(), "job "+jobID) {
		t.Errorf("%v does not say of which job", err)
	}
}

// Half a timeline would be taken for the whole: one source that fails is enough to
// have none, and ends the waiting for the others.
func TestReader_TimelineFailsWithEachSource(t *testing.T) {
	t.Parallel()
	for name := range (&shelf{}).sources() {
		for category, fault := range faults() {
			t.Run(name+"_"+string(category), func(t *testing.T) {
				t.Parallel()
				s := &shelf{}
				s.put(said())
				for other, of := range s.sources() {
					of.stuck = other != name
				}
				s.sources()[name].err = fault
				got, found, err := s.reader().Timeline(t.Context(), jobID)
				checkFault(t, err, fault)
				if got != nil || found {
					t.Errorf("with an error: found %v, %+v", found, got)
				}
			})
		}
	}
}

func TestReader_TimelineEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	for _, of := range s.sources() {
		of.stuck = true
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.reader().Timeline(ctx, jobID); !resilience.Canceled(err) {
		t.Errorf("error %v", err)
	}
}

// full is a record of which everything is known.
func full() jobstore.Stored {
	r := &job.Record{}
	o := said(state(job.StateFailed, job.EvidenceCondition), func(o *job.Observation) {
		o.Ordinal, o.Stage, o.Attempt = job.OrdinalKubernetes, job.StageKubernetes, 2
		o.Owner, o.CorrelationID, o.OutputURI = "ana", "req-1", "gs://out/j-1/"
		o.Kubernetes = job.Kubernetes{Cluster: "c", Namespace: "ml", Name: "train", UID: "u-1", CreatedAt: at(0), End: job.StageEndsJob}
		o.Cause = job.CauseDetail{Cause: job.CauseOOM, Message: "out of memory"}
	})
	r.Apply(&o)
	return jobstore.Stored{Record: r, UpdateTime: at(9), Meta: jobstore.Meta{
		Revision: 7, UpdatedAt: at(8), UpdatedBy: "status-updater-1", CheckAfter: at(70),
		Recovery: jobstore.Recovery{Resumes: 3, ResumeAttempt: 1, ResumeUntil: at(30)},
	}}
}

// filled complains of each field that nothing was put into.
func filled(t *testing.T, v any) {
	t.Helper()
	of := reflect.Indirect(reflect.ValueOf(v))
	for i := range of.NumField() {
		if of.Field(i).IsZero() {
			t.Errorf("%s.%s is empty", of.Type(), of.Type().Field(i).Name)
		}
	}
}

func TestReader_TellsAllThatTheRecordKnows(t *testing.T) {
	t.Parallel()
	stored := full()
	got := recordOf(&stored)
	want := &timeline.Record{
		View: stored.Record.View(), Owner: "ana", Tenant: "video", CorrelationID: "req-1", OutputURI: "gs://out/j-1/",
		Kubernetes: job.Kubernetes{Cluster: "c", Namespace: "ml", Name: "train", UID: "u-1", CreatedAt: at(0), End: job.StageEndsJob},
		StartedAt:  at(0), Revision: 7, UpdatedAt: at(8), UpdatedBy: "status-updater-1", CheckAfter: at(70),
		Resumes: 3, ResumeAttempt: 1, ResumeUntil: at(30),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	filled(t, got)
}

func TestReader_TellsOfLetters(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	s.lay(letters.Letter{
		ID: "l-1", State: letters.StateReplayed, Subscription: "job-events-status-updater", Reason: "it is empty",
		Category: resilience.CategoryPermanent, Count: 3, FirstSeenAt: at(1), LastSeenAt: at(5),
		Cleanup: letters.Cleanup{Text: "its record was made"},
	})
	got, _, err := s.reader().Timeline(t.Context(), jobID)
	if err != nil || len(got.Letters) != 1 {
		t.Fatalf("letters %+v, error %v", got, err)
	}
	want := timeline.Letter{
		ID: "l-1", State: "REPLAYED", Subscription: "job-events-status-updater", Reason: "it is empty", Category: "permanent",
		Count: 3, FirstSeenAt: at(1), LastSeenAt: at(5), Cleanup: "its record was made",
	}
	if diff := cmp.Diff(want, got.Letters[0]); diff != "" {
		t.Errorf("letter (-want +got):\n%s", diff)
	}
	filled(t, &got.Letters[0])
}

// Whatever is stored comes into the timeline once, updates as updates and phases as
// phases, each with those who told of it.
func TestReader_TellsAllThatIsStored(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, wantPhases, wantUpdates := &shelf{}, []string{}, []string{}
		for i := range rapid.IntRange(0, 20).Draw(t, "stored") {
			id := fmt.Sprintf("e-%02d", i)
			if rapid.Bool().Draw(t, "update") {
				s.keep(told(id, int64(i)))
				wantUpdates = append(wantUpdates, id)
				continue
			}
			s.keep(noted(id, i))
			wantPhases = append(wantPhases, id+" SDK worker-1 "+at(i).String())
		}
		got, _, err := s.reader().Timeline(t.Context(), jobID)
		if err != nil {
			t.Fatal(err)
		}
		isPhases, isUpdates := []string{}, []string{}
		for i := range got.Lanes {
			for _, span := range got.Lanes[i].Spans {
				for _, w := range span.Witnesses {
					isPhases = append(isPhases, fmt.Sprint(span.ID, " ", w.Source, " ", w.Reporter, " ", w.ReceivedAt))
				}
			}
		}
		for _, u := range got.Updates {
			isUpdates = append(isUpdates, u.ID)
		}
		if diff := cmp.Diff(wantPhases, isPhases) + cmp.Diff(wantUpdates, isUpdates); diff != "" {
			t.Errorf("phases and updates (-want +got):\n%s", diff)
		}
	})
}

// An update was sent when Pub/Sub took it, as far as anybody has said so.
func TestReader_UpdatesAreSentWhenPubSubTookThem(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	s.keep(told("u-1", 1), told("u-2", 2, phases.Witness{Source: resiliencyv1.Source_SOURCE_STATUS_UPDATER, ReceivedAt: at(5)}))
	got, _, err := s.reader().Timeline(t.Context(), jobID)
	if err != nil || len(got.Updates) != 2 {
		t.Fatalf("updates %+v, error %v", got, err)
	}
	if !got.Updates[0].SentAt.IsZero() || !got.Updates[1].SentAt.Equal(at(5)) {
		t.Errorf("sent at %s and %s", got.Updates[0].SentAt, got.Updates[1].SentAt)
	}
}

func TestReader_Phases(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	s.phases.page = phases.Page{
		Stored: []phases.Stored{noted("p-1", 1)}, Unreadable: []string{"x"}, Next: &phases.Cursor{At: at(1), ID: "p-1"},
	}
	after := &phases.Cursor{At: at(0), ID: "p-0"}
	got, err := s.reader().Phases(t.Context(), jobID, after, 17)
	if diff := cmp.Diff(s.phases.page, got, protocmp.Transform()); diff != "" || err != nil {
		t.Errorf("error %v, page (-want +got):\n%s", err, diff)
	}
	if s.phases.after != after || s.phases.limit != 17 || !slices.Equal(s.phases.asked, []string{jobID}) {
		t.Errorf("asked for %d of %q after %+v", s.phases.limit, s.phases.asked, s.phases.after)
	}
	for category, fault := range faults() {
		s.phases.err = fmt.Errorf("list phases of job %s: %w", jobID, fault)
		if _, err := s.reader().Phases(t.Context(), jobID, nil, 1); resilience.CategoryOf(err) != category || !errors.Is(err, fault) {
			t.Errorf("%s: error %v", category, err)
		}
	}
}
