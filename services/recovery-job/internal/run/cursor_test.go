package run

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/runs"
	"github.com/envision/resiliency/services/recovery-job/internal/judge"
	"github.com/envision/resiliency/services/recovery-job/internal/report"
)

// Jobs that cannot be judged stay where they are, at the front. Each run of a few
// goes on where the last one stopped, so that every job comes to its turn, however
// many records are read at once.
func TestRun_GoesOnWhereTheLastOneStopped(t *testing.T) {
	t.Parallel()
	for _, page := range []int{1, 3, 100} {
		t.Run(fmt.Sprint("page_", page), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.opts.Page = page
			comesToItsTurn(t, b)
		})
	}
}

func comesToItsTurn(t *testing.T, b *bench) {
	t.Helper()
	const jobs, limit = 60, 7
	for i := range jobs {
		id := fmt.Sprintf("j-%02d", i)
		b.records.put(kubernetes(id, 2*time.Hour+time.Duration(i%5)*time.Minute))
		b.world.cluster[id] = judge.Cluster{Probe: judge.Failed, Fault: judge.Fault{Kind: judge.FaultUnavailable, Err: "503"}}
	}
	b.opts.Limit = limit
	looked := map[string]int{}
	for n := 1; len(looked) < jobs; n++ {
		if n > (jobs+limit-1)/limit {
			t.Fatalf("%d of %d jobs after %d runs", len(looked), jobs, n-1)
		}
		r, err := New(b.Parts, b.opts).Run(t.Context())
		if err != nil || r.State != report.Cut || r.Error != errLimit.Error() || r.Looked != limit || len(r.Items) != limit {
			t.Fatalf("run %d: %v, %+v", n, err, r)
		}
		for _, it := range r.Items {
			looked[it.JobID]++
		}
		row := b.journal.final()
		if row.State != runs.StateCut || len(row.Cursors) != 1 {
			t.Fatalf("run %d on record: %+v", n, row)
		}
		b.journal.last = row
	}
	// All of them in one go: from the middle to the end and round again, each once.
	b.opts.Limit = 0
	r := b.run(t)
	seen := map[string]int{}
	for _, it := range r.Items {
		seen[it.JobID]++
	}
	if len(seen) != jobs || len(r.Items) != jobs || r.State != report.Done {
		t.Errorf("%d jobs in %d items, %s", len(seen), len(r.Items), r.State)
	}
}

// The limit is on jobs that are judged: those that are not due here and now, or
// that a rule was not asked for, take none of it.
func TestRun_LimitIsOfJobsThatAreJudged(t *testing.T) {
	t.Parallel()
	for _, rule := range []string{"", "kubernetes"} {
		t.Run("rule_"+rule, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			for i := range 40 {
				id := fmt.Sprintf("j-%02d", i)
				o := kubernetes(id, 3*time.Hour)
				if o.Kubernetes.Cluster = "other"; rule != "" {
					o = backend(id, 3*time.Hour)
				}
				b.records.put(o)
			}
			for i := range 5 {
				b.records.put(kubernetes(fmt.Sprint("gone-", i), 2*time.Hour))
			}
			b.opts.Rule = rule
			for limit, state := range map[int]report.State{4: report.Cut, 6: report.Done} {
				b.opts.Limit = limit
				plan := b.Parts
				plan.Writer = nil
				r, err := New(plan, b.opts).Run(t.Context())
				if err != nil || r.Looked != min(limit, 5) || r.State != state {
					t.Errorf("limit %d: %d looked at, %s, %v", limit, r.Looked, r.State, err)
				}
			}
		})
	}
}

// A run for one job or one rule walks nowhere: the next whole run goes on where the
// one before it stopped.
func TestRun_PartialRunKeepsThePlace(t *testing.T) {
	t.Parallel()
	want := map[string]runs.Cursor{"2": {CheckAfter: now.Add(-time.Hour), JobID: "j"}}
	for name, only := range map[string]func(*Options){
		"only": func(o *Options) { o.Only = "stalled" }, "rule": func(o *Options) { o.Rule = "backend" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.records.put(backend("stalled", 2*time.Hour))
			b.journal.last = &runs.Run{ID: "r-0", State: runs.StateCut, Cursors: want}
			only(&b.opts)
			if got := fates(b.run(t)); got["stalled"] != "resume/RESUME/written" {
				t.Errorf("fates %v", got)
			}
			for i := range b.journal.rows {
				if diff := cmp.Diff(want, b.journal.rows[i].Cursors); diff != "" {
					t.Errorf("row %d (-want +got):\n%s", i, diff)
				}
			}
		})
	}
}

func TestRun_IsCutByTime(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 40 {
		b.records.put(backend(fmt.Sprint("j", i), 2*time.Hour))
	}
	b.opts.JudgeFor = time.Nanosecond
	r, err := New(b.Parts, b.opts).Run(t.Context())
	if err != nil || r.State != report.Cut || r.Error != errTime.Error() || len(b.journal.final().Cursors) != 1 {
		t.Errorf("%v, %+v", err, r)
	}
}

func TestPlaceOf(t *testing.T) {
	t.Parallel()
	at := now.Truncate(job.Precision)
	for _, c := range []struct {
		name    string
		cursors map[string]runs.Cursor
		want    place
	}{
		{"none", nil, place{}},
		{"beginning_of_a_shard", map[string]runs.Cursor{"3": {}}, place{shard: 3}},
		{"fewer_shards_now", map[string]runs.Cursor{"9": {}}, place{}},
		{"garbled", map[string]runs.Cursor{"x": {}}, place{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := placeOf(&runs.Run{Cursors: c.cursors}, shards); got != c.want {
				t.Errorf("got %+v", got)
			}
		})
	}
	got := placeOf(&runs.Run{Cursors: map[string]runs.Cursor{"1": {CheckAfter: at, JobID: "j"}}}, shards)
	if got.shard != 1 || got.after == nil || *got.after != (jobstore.DueCursor{CheckAfter: at, JobID: "j"}) {
		t.Errorf("got %+v", got)
	}
}

func TestRun_WithoutTheLastRunBeginsAtTheBeginning(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.records.put(backend("stalled", 2*time.Hour))
	b.Journal = brokenJournal{}
	if got := fates(b.run(t)); got["stalled"] != "resume/RESUME/written" {
		t.Errorf("fates %v", got)
	}
}

// brokenJournal neither keeps nor knows anything.
type brokenJournal struct{}

var errDown = errors.New("no answer")

func (brokenJournal) Save(context.Context, *runs.Run) error { return errDown }

func (brokenJournal) Last(context.Context, string) (runs.Run, bool, error) {
	return runs.Run{}, false, errDown
}
