package bench

import (
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/envision/resiliency/test/stack"
)

func TestFates_are_in_proportion(t *testing.T) {
	t.Parallel()
	got := map[fate]int{}
	for n := range stuckRecords {
		got[fateOf(n)]++
	}
	// More that fail from silence than a fifth would be withheld.
	want := map[fate]int{fateMarked: 600, fateEnded: 200, fateGone: 100, fateSilent: 100}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fates (-want +got):\n%s", diff)
	}
	for f := range got {
		if _, ok := fates()[f]; !ok {
			t.Errorf("nobody says what becomes of fate %d", f)
		}
	}
}

// Only what is stuck may be found by the query of recovery-job.
func TestDocuments_of_jobs(t *testing.T) {
	t.Parallel()
	now := time.Now()
	jobs := &stuckJobs{project: &stack.Project{ID: "p", Namespace: "ns", Tenant: "t"}, now: now}
	runs, silent := jobs.running("a"), jobs.inBackend("b")
	for name, doc := range map[string]map[string]any{
		"kubernetes": document(&runs, now, now), "backend": document(&silent, now, now),
	} {
		if doc["active"] != true || doc["state"] != "RUNNING" || doc["stage"] != name || doc["shard"] == nil {
			t.Errorf("record of a job in %s: active %v, state %v, stage %v, shard %v", name, doc["active"], doc["state"], doc["stage"], doc["shard"])
		}
	}
	if got := stood(map[string]any{
		"state": "SUCCEEDED", "verdict": map[string]any{"evidence": "OUTPUT"}, "recovery": map[string]any{"resumes": int64(2)},
	}); got != (outcome{"SUCCEEDED", "OUTPUT", 2}) {
		t.Errorf("a record stands as %+v", got)
	}
}

func TestCountedKube_tells_lists_from_questions(t *testing.T) {
	t.Parallel()
	const jobs, pods = "/apis/batch/v1/namespaces/ns/jobs", "/api/v1/namespaces/ns/pods"
	for asked, want := range map[string][2]int64{
		jobs + "?labelSelector=" + stack.LabelJobID + "&limit=500":            {1, 0},
		jobs + "?labelSelector=" + stack.LabelJobID + "&limit=500&continue=x": {0, 0},
		pods + "?labelSelector=" + stack.LabelJobID:                           {0, 0},
		jobs + "?labelSelector=" + url.QueryEscape(stack.LabelJobID+"=j-1"):   {0, 1},
		pods + "?labelSelector=" + url.QueryEscape("uid=u"):                   {0, 1},
		jobs + "/j-1": {0, 1},
	} {
		u, err := url.Parse(asked)
		if err != nil {
			t.Fatal(err)
		}
		var k countedKube
		k.count(u)
		if got := [2]int64{k.lists.Load(), k.asks.Load()}; got != want {
			t.Errorf("%s counts as lists, questions %v, want %v", asked, got, want)
		}
	}
}

func TestMedian_takes_each_figure_by_itself(t *testing.T) {
	t.Parallel()
	got := median([]recoveryCost{{reads: 3, seconds: 1}, {reads: 1, seconds: 9}, {reads: 2, seconds: 5}})
	if want := (recoveryCost{reads: 2, seconds: 5}); got != want {
		t.Errorf("median %+v, want %+v", got, want)
	}
}
