package run

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/runs"
	"github.com/envision/resiliency/services/recovery-job/internal/judge"
	"github.com/envision/resiliency/services/recovery-job/internal/report"
)

// Jobs that cannot be judged stay where they are, at the front. Each run of a few
// goes on where the last one stopped, so that every job comes to its turn.
func TestRun_GoesOnWhereTheLastOneStopped(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const jobs, limit = 60, 7
	for i := range jobs {
		id := fmt.Sprintf("j-%02d", i)
		b.records.put(kubernetes(id, 2*time.Hour+time.Duration(i%5)*time.Minute))
		b.world.cluster[id] = judge.Cluster{Probe: judge.Failed, Fault: judge.Fault{Kind: judge.FaultUnavailable, Err: "503"}}
	}
	b.opts.Limit = limit
	looked := map[string]int{}
	for n := 1; len(looked) < jobs; n++ {
		if n > jobs {
			t.Fatalf("%d of %d jobs after %d runs", len(looked), jobs, n)
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
