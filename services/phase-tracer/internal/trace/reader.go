// Package trace gathers all that is on record about a job, from its record, its
// phases and its dead letters, for the timeline. It never writes, and never says
// what anything means.
package trace

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/jobstore/phases"
	"github.com/envision/resiliency/services/phase-tracer/internal/timeline"
)

// Records reads job records; *jobstore.Store is one.
type Records interface {
	Get(ctx context.Context, jobID string) (stored jobstore.Stored, found bool, err error)
}

// Phases reads phases; *phases.Store is one.
type Phases interface {
	Read(ctx context.Context, jobID string, limit int) (phases.Story, error)
	List(ctx context.Context, jobID string, after *phases.Cursor, limit int) (phases.Page, error)
	LastStored(ctx context.Context, jobID string) (phases.Last, error)
}

// Letters reads dead letters; *letters.Store is one.
type Letters interface {
	List(ctx context.Context, f letters.Filter, after *letters.Cursor, limit int) (letters.Page, error)
}

// maxPhases and maxLetters are how many are read for one timeline.
const (
	maxPhases  = 2000
	maxLetters = 100
)

// Reader reads. It is safe for concurrent use.
type Reader struct {
	records Records
	phases  Phases
	letters Letters
	now     func() time.Time
}

// NewReader returns a Reader.
func NewReader(records Records, p Phases, l Letters, now func() time.Time) *Reader {
	return &Reader{records: records, phases: p, letters: l, now: now}
}

// Timeline is the timeline of a job as of now; found is false when nothing at all
// is on record. It costs a read for the record, one for each phase, at most
// maxPhases and about half as many more, and one for each dead letter.
func (r *Reader) Timeline(ctx context.Context, jobID string) (t *timeline.Timeline, found bool, err error) {
	in := timeline.Input{JobID: jobID}
	var story phases.Story
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error {
		stored, found, err := r.records.Get(ctx, jobID)
		if found {
			in.Record = recordOf(&stored)
		}
		return err //nolint:wrapcheck // the caller says of which job
	})
	all.Go(func() (err error) {
		story, err = r.phases.Read(ctx, jobID, maxPhases)
		return err //nolint:wrapcheck // the caller says of which job
	})
	all.Go(func() error {
		page, err := r.letters.List(ctx, letters.Filter{JobID: jobID}, nil, maxLetters)
		in.Letters = lettersOf(page.Letters)
		return err //nolint:wrapcheck // the caller says of which job
	})
	if err := all.Wait(); err != nil {
		return nil, false, fmt.Errorf("read job %s: %w", jobID, err)
	}
	add(&in, &story)
	built := timeline.Build(&in, r.now())
	return &built, in.Record != nil || in.Stored > 0 || len(in.Letters) > 0, nil
}

// Version tells whether a job's timeline may have changed, for two reads.
func (r *Reader) Version(ctx context.Context, jobID string) (timeline.Version, error) {
	stored, found, err := r.records.Get(ctx, jobID)
	if err != nil {
		return timeline.Version{}, fmt.Errorf("look for news of job %s: %w", jobID, err)
	}
	last, err := r.phases.LastStored(ctx, jobID)
	if err != nil {
		return timeline.Version{}, fmt.Errorf("look for news of job %s: %w", jobID, err)
	}
	v := timeline.Version{Found: found || !last.At.IsZero(), Progress: last.Kind == phases.KindProgressed}
	var record time.Time
	if found {
		record, v.Tenant = stored.UpdateTime, stored.Record.Tenant.Value
		v.Over = job.Terminal(stored.Record.View().State)
	}
	v.Record = fmt.Sprintf("%x", record.UnixMicro())
	v.Text = fmt.Sprintf("%s-%x", v.Record, last.At.UnixMicro())
	return v, nil
}

// Phases is a page of what is stored of a job.
func (r *Reader) Phases(ctx context.Context, jobID string, after *phases.Cursor, limit int) (phases.Page, error) {
	return r.phases.List(ctx, jobID, after, limit) //nolint:wrapcheck // it says of which job
}

func recordOf(s *jobstore.Stored) *timeline.Record {
	r, m := s.Record, &s.Meta
	return &timeline.Record{
		View: r.View(), Owner: r.Owner.Value, Tenant: r.Tenant.Value, CorrelationID: r.CorrelationID.Value,
		OutputURI: r.OutputURI.Value, Kubernetes: r.Kubernetes.Kubernetes, StartedAt: r.Started.At,
		Revision: m.Revision, UpdatedAt: m.UpdatedAt, UpdatedBy: m.UpdatedBy, CheckAfter: m.CheckAfter,
		Resumes: m.Recovery.Resumes, ResumeAttempt: m.Recovery.ResumeAttempt, ResumeUntil: m.Recovery.ResumeUntil,
	}
}

func add(in *timeline.Input, s *phases.Story) {
	in.Stored, in.OlderProgress = s.Total, s.OlderProgress
	for i := range s.Stored {
		one := &s.Stored[i]
		if one.Update != nil {
			in.Updates = append(in.Updates, timeline.Update{Event: one.Update, SentAt: sentAt(one)})
			continue
		}
		in.Phases = append(in.Phases, timeline.Phase{Event: one.Phase, Witnesses: WitnessesOf(one)})
	}
}

func sentAt(s *phases.Stored) time.Time {
	if len(s.Witnesses) == 0 {
		return time.Time{}
	}
	return s.Witnesses[0].ReceivedAt
}

// WitnessesOf are who told of a stored phase.
func WitnessesOf(s *phases.Stored) []timeline.Witness {
	out := make([]timeline.Witness, len(s.Witnesses))
	for i, w := range s.Witnesses {
		out[i] = timeline.Witness{Source: job.SourceName(w.Source), Reporter: w.Reporter, ReceivedAt: w.ReceivedAt}
	}
	return out
}

func lettersOf(list []letters.Letter) []timeline.Letter {
	out := make([]timeline.Letter, len(list))
	for i := range list {
		l := &list[i]
		out[i] = timeline.Letter{
			ID: l.ID, State: string(l.State), Subscription: l.Subscription, Reason: l.Reason, Category: string(l.Category),
			Count: l.Count, FirstSeenAt: l.FirstSeenAt, LastSeenAt: l.LastSeenAt, Cleanup: l.Cleanup.Text,
		}
	}
	return out
}
