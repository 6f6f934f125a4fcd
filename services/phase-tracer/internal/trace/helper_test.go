package trace

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/jobstore/phases"
	"github.com/envision/resiliency/pkg/messaging/messagingtest"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, messagingtest.LeakOptions()...) }

const jobID = "j-1"

func zero() time.Time { return time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC) }

// at is a moment some seconds after the beginning of every test.
func at(seconds int) time.Time { return zero().Add(time.Duration(seconds) * time.Second) }

// source is one of those that a reader asks.
type source struct {
	// err stands in the place of every answer.
	err error
	// stuck gives no answer for as long as it is asked.
	stuck bool

	mu    sync.Mutex
	asked []string
}

func (s *source) ask(ctx context.Context, id string) error {
	s.mu.Lock()
	s.asked = append(s.asked, id)
	s.mu.Unlock()
	if s.stuck {
		<-ctx.Done()
		return fmt.Errorf("no answer: %w", ctx.Err())
	}
	return s.err
}

type records struct {
	source

	stored jobstore.Stored
	found  bool
}

func (r *records) Get(ctx context.Context, id string) (jobstore.Stored, bool, error) {
	if err := r.ask(ctx, id); err != nil {
		return jobstore.Stored{}, false, err
	}
	return r.stored, r.found, nil
}

type stories struct {
	source

	story phases.Story
	page  phases.Page
	last  phases.Last
	// limit and after are those of the last question.
	limit int
	after *phases.Cursor
}

func (s *stories) Read(ctx context.Context, id string, limit int) (phases.Story, error) {
	s.limit = limit
	if err := s.ask(ctx, id); err != nil {
		return phases.Story{}, err
	}
	return s.story, nil
}

func (s *stories) List(ctx context.Context, id string, after *phases.Cursor, limit int) (phases.Page, error) {
	s.limit, s.after = limit, after
	if err := s.ask(ctx, id); err != nil {
		return phases.Page{}, err
	}
	return s.page, nil
}

func (s *stories) LastStored(ctx context.Context, id string) (phases.Last, error) {
	if err := s.ask(ctx, id); err != nil {
		return phases.Last{}, err
	}
	return s.last, nil
}

type mail struct {
	source

	page   letters.Page
	filter letters.Filter
	limit  int
}

func (m *mail) List(ctx context.Context, f letters.Filter, _ *letters.Cursor, limit int) (letters.Page, error) {
	m.filter, m.limit = f, limit
	if err := m.ask(ctx, f.JobID); err != nil {
		return letters.Page{}, err
	}
	return m.page, nil
}

// shelf is all that is on record of the job; nothing unless a test puts it there.
type shelf struct {
	records records
	phases  stories
	letters mail
}

func (s *shelf) reader() *Reader {
	return NewReader(&s.records, &s.phases, &s.letters, func() time.Time { return at(100) })
}

// put puts a record there that knows these claims.
func (s *shelf) put(claims ...job.Observation) {
	r := &job.Record{}
	for i := range claims {
		r.Apply(&claims[i])
	}
	s.records.stored, s.records.found = jobstore.Stored{Record: r, UpdateTime: at(50)}, true
}

// keep stores phases and updates.
func (s *shelf) keep(all ...phases.Stored) {
	s.phases.story.Stored = append(s.phases.story.Stored, all...)
	s.phases.story.Total += len(all)
	s.phases.last = phases.Last{At: at(60), Kind: all[len(all)-1].Kind}
}

func (s *shelf) lay(all ...letters.Letter) {
	s.letters.page.Letters = append(s.letters.page.Letters, all...)
}

// said is a claim that the job runs in its first stage.
func said(edits ...func(*job.Observation)) job.Observation {
	o := job.Observation{
		JobID: jobID, Attempt: 1, Ordinal: job.OrdinalBackend, Stage: job.StageBackend, OccurredAt: at(1), Tenant: "video",
		Source: resiliencyv1.Source_SOURCE_SDK, Kind: job.KindStatus, State: job.StateRunning,
	}
	for _, edit := range edits {
		edit(&o)
	}
	return o
}

func state(s job.State, e job.Evidence) func(*job.Observation) {
	return func(o *job.Observation) { o.State, o.Evidence = s, e }
}

// noted is a phase that somebody told of.
func noted(id string, seconds int) phases.Stored {
	return phases.Stored{
		ID: id, Kind: phases.KindNoted, StoredAt: at(seconds),
		Witnesses: []phases.Witness{{Source: resiliencyv1.Source_SOURCE_SDK, Reporter: "worker-1", ReceivedAt: at(seconds)}},
		Phase: &resiliencyv1.PhaseEvent{
			EventId: id, JobId: jobID, Attempt: 1, Name: "note", OccurredAt: timestamppb.New(at(seconds)),
			Stage: &resiliencyv1.Stage{Name: job.StageBackend, Ordinal: job.OrdinalBackend},
			Event: &resiliencyv1.PhaseEvent_Noted{Noted: &resiliencyv1.PhaseNoted{}},
		},
	}
}

// advanced is a report of progress.
func advanced(id string, seconds int) phases.Stored {
	s := noted(id, seconds)
	s.Kind, s.Phase.Event = phases.KindProgressed, &resiliencyv1.PhaseEvent_Progressed{Progressed: &resiliencyv1.PhaseProgressed{Done: 1}}
	return s
}

// told is an update that went out to the product.
func told(id string, revision int64, seen ...phases.Witness) phases.Stored {
	return phases.Stored{
		ID: id, Kind: phases.KindUpdate, Witnesses: seen,
		Update: &resiliencyv1.JobUpdate{
			EventId: id, JobId: jobID, Revision: revision, State: job.StateRunning, OccurredAt: timestamppb.New(at(2)),
		},
	}
}
