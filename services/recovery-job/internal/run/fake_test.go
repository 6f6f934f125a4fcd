package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/runs"
	"github.com/envision/resiliency/services/recovery-job/internal/judge"
	"github.com/envision/resiliency/services/recovery-job/internal/rules"
)

var now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

const shards = 4

// records is a store in memory: compare-and-set by the update time, pages by
// check_after, as the real one.
type records struct {
	mu   sync.Mutex
	rows map[string]jobstore.Stored
	tick int
	// unreadable are given with the first page of shard 0.
	unreadable []jobstore.Unreadable
	// dueFault and decideFault are asked before each call.
	dueFault    func(shard int) error
	decideFault func(d *jobstore.Decision) error

	decisions []jobstore.Decision
	postponed map[string]time.Time
	applied   []job.Observation
	missed    [][]string
}

func (r *records) put(o *job.Observation, change ...func(*jobstore.Stored)) {
	record := job.Of(o)
	s := jobstore.Stored{Record: &record, UpdateTime: r.next(), Meta: jobstore.Meta{
		Revision: 1, UpdatedAt: o.OccurredAt, CheckAfter: o.OccurredAt, Shard: jobstore.ShardOf(o.JobID, shards),
	}}
	for _, f := range change {
		f(&s)
	}
	r.rows[o.JobID] = s
}

func (r *records) next() time.Time {
	r.tick++
	return now.Add(time.Duration(r.tick) * time.Millisecond)
}

func (r *records) Due(_ context.Context, shard int, at time.Time, after *jobstore.DueCursor, limit int) (jobstore.DuePage, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dueFault != nil {
		if err := r.dueFault(shard); err != nil {
			return jobstore.DuePage{}, err
		}
	}
	var page jobstore.DuePage
	if shard == 0 && after == nil {
		page.Unreadable = r.unreadable
	}
	for _, s := range r.rows {
		if s.Meta.Shard == int64(shard) && !job.Terminal(s.Record.Status.State) && !s.Meta.CheckAfter.After(at) &&
			(after == nil || beyond(&s, after)) {
			page.Records = append(page.Records, s)
		}
	}
	slices.SortFunc(page.Records, func(a, b jobstore.Stored) int {
		return cmp.Or(a.Meta.CheckAfter.Compare(b.Meta.CheckAfter), cmp.Compare(a.Record.JobID, b.Record.JobID))
	})
	if len(page.Records) >= limit {
		page.Records = page.Records[:limit]
		last := page.Records[limit-1]
		page.Next = &jobstore.DueCursor{CheckAfter: last.Meta.CheckAfter, JobID: last.Record.JobID}
	}
	return page, nil
}

func (r *records) Get(_ context.Context, jobID string) (jobstore.Stored, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.rows[jobID]
	return s, ok, nil
}

func (r *records) Missing(_ context.Context, ids []string) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.missed = append(r.missed, ids)
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { _, ok := r.rows[id]; return ok }), nil
}

func (r *records) Decide(_ context.Context, d *jobstore.Decision) (jobstore.Result, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := d.On.Record.JobID
	if r.decideFault != nil {
		if err := r.decideFault(d); err != nil {
			return jobstore.Result{}, fmt.Errorf("decide on job %s: %w", id, err)
		}
	}
	s := r.rows[id]
	if !s.UpdateTime.Equal(d.On.UpdateTime) {
		return jobstore.Result{}, fmt.Errorf("decide on job %s: %w", id, jobstore.ErrMoved)
	}
	after := *s.Record
	for i := range d.Claims {
		if !after.Apply(&d.Claims[i]).Changed() {
			return jobstore.Result{}, errors.New("a claim that changes nothing")
		}
	}
	s.Record, s.UpdateTime, s.Meta.Revision = &after, r.next(), s.Meta.Revision+1
	if d.Resume != nil {
		s.Meta.Recovery.Resumes++
	}
	r.rows[id] = s
	r.decisions = append(r.decisions, *d)
	return jobstore.Result{Outcome: job.OutcomeApplied, Entries: append([]jobstore.Entry{{ID: "update-" + id}}, d.Entries...)}, nil
}

func (r *records) Postpone(_ context.Context, on *jobstore.Stored, until time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.rows[on.Record.JobID]
	if !s.UpdateTime.Equal(on.UpdateTime) {
		return jobstore.ErrMoved
	}
	s.Meta.CheckAfter, s.UpdateTime = until, r.next()
	r.rows[on.Record.JobID] = s
	if r.postponed == nil {
		r.postponed = map[string]time.Time{}
	}
	r.postponed[on.Record.JobID] = until
	return nil
}

func (r *records) Apply(_ context.Context, o *job.Observation) (jobstore.Result, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.applied = append(r.applied, *o)
	return jobstore.Result{Outcome: job.OutcomeApplied, Entries: []jobstore.Entry{{ID: "update-" + o.JobID}}}, nil
}

// journal keeps runs; those saved last are first.
type journal struct {
	mu   sync.Mutex
	last *runs.Run
	rows []runs.Run
}

func (j *journal) Save(_ context.Context, r *runs.Run) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.rows = append(j.rows, *r)
	return nil
}

func (j *journal) Last(context.Context, string) (runs.Run, bool, error) {
	if j.last == nil {
		return runs.Run{}, false, nil
	}
	return *j.last, true, nil
}

func (j *journal) final() *runs.Run { return &j.rows[len(j.rows)-1] }

// world is what the probes show: nothing, unless set by job id.
type world struct {
	mu      sync.Mutex
	cluster map[string]judge.Cluster
	output  map[string]judge.Output
	asked   map[string]int
	// onCluster is called with each question to the cluster.
	onCluster func(q judge.ClusterQuery)
}

func (w *world) Cluster(_ context.Context, q judge.ClusterQuery) judge.Cluster {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked[q.JobID]++
	if w.onCluster != nil {
		w.onCluster(q)
	}
	c, ok := w.cluster[q.JobID]
	if !ok {
		c = judge.Cluster{Probe: judge.Answered, At: now}
	}
	c.Live = q.Live
	return c
}

func (w *world) Output(_ context.Context, q judge.OutputQuery) judge.Output {
	w.mu.Lock()
	defer w.mu.Unlock()
	if o, ok := w.output[q.JobID]; ok {
		return o
	}
	return judge.Output{Probe: judge.Answered, Finding: judge.OutputEmpty}
}

func (w *world) Phase(context.Context, judge.PhaseQuery) judge.Phase {
	return judge.Phase{Probe: judge.Answered}
}

type labels []Labelled

func (l labels) Labelled(_ context.Context, fn func(Labelled)) error {
	for _, one := range l {
		fn(one)
	}
	return nil
}

type healthy struct{}

func (healthy) Pipeline(context.Context) judge.Pipeline {
	return judge.Pipeline{Probe: judge.Answered, Beats: []judge.Beat{{At: now, Every: time.Hour, Receiving: true}}}
}

type outbox struct {
	mu  sync.Mutex
	ids []string
}

func (o *outbox) Offer(entries []jobstore.Entry) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range entries {
		o.ids = append(o.ids, entries[i].ID)
	}
}

// bench is a run with all around it.
type bench struct {
	Parts
	records *records
	journal *journal
	world   *world
	outbox  *outbox
	opts    Options
}

func newBench(t *testing.T) *bench {
	t.Helper()
	set, err := rules.Defaults()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{
		records: &records{rows: map[string]jobstore.Stored{}}, journal: &journal{}, outbox: &outbox{},
		world: &world{cluster: map[string]judge.Cluster{}, output: map[string]judge.Output{}, asked: map[string]int{}},
		opts: Options{
			RunID: "r-1", Cluster: "main", Instance: "me", Version: "v", Token: 7, Shards: shards, Parallel: 4, Page: 3,
			JudgeFor: time.Minute, MissingAfter: 5 * time.Minute, Guard: judge.DefaultGuard(),
		},
	}
	b.Parts = Parts{
		Records: b.records, Writer: b.records, Journal: b.journal, Cluster: labels(nil), Probes: b.world, Health: healthy{},
		Judge:  &judge.Judge{Home: judge.Home{Cluster: "main", Unclaimed: true, Reporter: "me"}, Rules: set},
		Outbox: b.outbox, Metrics: NewMetrics(prometheus.NewRegistry()), Now: func() time.Time { return now }, Log: zerolog.Nop(),
		Fence: func(id string) jobstore.Fence { return jobstore.Fence{Document: "fence-" + id, Token: 7} },
	}
	return b
}

// kubernetes is a job whose Kubernetes Job was last heard of so long ago.
func kubernetes(id string, ago time.Duration) *job.Observation {
	at := now.Add(-ago)
	return &job.Observation{
		JobID: id, Attempt: 1, OccurredAt: at, Ordinal: job.OrdinalKubernetes, Stage: job.StageKubernetes, Owner: "ana",
		Kind: job.KindStatus, State: job.StateRunning, OutputURI: "gs://out/" + id + "/", CorrelationID: "req-" + id,
		Kubernetes: job.Kubernetes{Cluster: "main", Namespace: "jobs", Name: id, UID: "u-" + id, CreatedAt: at, End: job.StageEndsJob},
	}
}

func backend(id string, ago time.Duration) *job.Observation {
	return &job.Observation{
		JobID: id, Attempt: 1, OccurredAt: now.Add(-ago), Ordinal: job.OrdinalBackend, Stage: job.StageBackend,
		Kind: job.KindStatus, State: job.StateRunning,
	}
}

// lives is a Kubernetes Job that runs.
func lives(o *job.Observation) judge.Cluster {
	return judge.Cluster{Probe: judge.Answered, At: now, Jobs: []judge.FoundJob{{
		Head: *o, Stand: judge.StandRunning, Since: o.OccurredAt, Live: 1,
	}}}
}
