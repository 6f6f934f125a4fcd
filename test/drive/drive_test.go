package drive

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStandard_adds_up(t *testing.T) {
	t.Parallel()
	for _, jobs := range []int{200, 2000, 333} {
		sum := 0
		for _, s := range Standard(jobs) {
			sum += s.Jobs
			if jobs == 200 && s.Jobs < 20 {
				t.Errorf("scenario %s has %d jobs, fewer than 20", s.Name, s.Jobs)
			}
		}
		if sum != jobs {
			t.Errorf("%d jobs asked for, %d planned", jobs, sum)
		}
	}
}

func TestInterleave_deals_evenly(t *testing.T) {
	t.Parallel()
	scenarios := Standard(200)
	plan := interleave("p", scenarios)
	names := map[string]bool{}
	half := map[string]int{}
	for i, p := range plan {
		names[p.name] = true
		if i < len(plan)/2 {
			half[p.scenario.Name]++
		}
	}
	if len(names) != 200 {
		t.Fatalf("%d different names for 200 jobs", len(names))
	}
	for _, s := range scenarios {
		if got := half[s.Name]; got < s.Jobs/2-1 || got > s.Jobs/2+1 {
			t.Errorf("%d of %d jobs of %s come in the first half", got, s.Jobs, s.Name)
		}
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	p := planned{name: "j", scenario: &Scenario{Expected: Failed, Cause: "OOM", Evidence: "CONDITION"}}
	fact := Fact{UID: "u", State: Failed}
	right := record{state: Failed, cause: "OOM", uid: "u", attempt: 1, evidence: "CONDITION"}
	cases := []struct {
		name    string
		fact    Fact
		record  record
		missing bool
		want    string
		says    string
	}{
		{"as declared", fact, right, false, "correct", ""},
		{"no record", fact, record{}, true, "lost", "no record"},
		{"not ended", fact, record{state: "RUNNING", uid: "u", attempt: 1}, false, "lost", "RUNNING"},
		{"no state", fact, record{}, false, "lost", "still says"},
		{"another end", fact, record{state: Succeeded, cause: "OOM", uid: "u", attempt: 1}, false, "wrong", "the record says SUCCEEDED"},
		{"the scenario did not play", Fact{UID: "u", State: Succeeded}, right, false, "wrong", "Kubernetes says SUCCEEDED"},
		{"another Job", fact, record{state: Failed, cause: "OOM", uid: "v", attempt: 1}, false, "wrong", "uid"},
		{"another attempt", fact, record{state: Failed, cause: "OOM", uid: "u", attempt: 2}, false, "wrong", "attempt 2"},
		{"other evidence", fact, record{state: Failed, cause: "OOM", uid: "u", attempt: 1, evidence: "ABSENCE"}, false, "wrong", "ABSENCE"},
		{"another cause", fact, record{state: Failed, cause: "APP_EXIT", uid: "u", attempt: 1}, false, "wrong", "APP_EXIT"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			verdict, problem := judge(p, c.fact, c.record, !c.missing)
			if verdict != c.want || !strings.Contains(problem, c.says) {
				t.Errorf("%s (%s), want %s (%s)", verdict, problem, c.want, c.says)
			}
		})
	}
}

func TestJudge_what_is_not_in_the_cluster_or_resumed(t *testing.T) {
	t.Parallel()
	stays := planned{name: "j", scenario: &Scenario{Expected: Failed, Evidence: "ASSUMED", Stays: true}}
	if verdict, problem := judge(stays, Fact{}, record{state: Failed, attempt: 1, evidence: "ASSUMED"}, true); verdict != "correct" {
		t.Errorf("closed without a Kubernetes Job: %s (%s)", verdict, problem)
	}
	if verdict, _ := judge(stays, Fact{}, record{state: Succeeded, attempt: 1, evidence: "STATED"}, true); verdict != "wrong" {
		t.Errorf("another end: %s", verdict)
	}
	resumed := planned{name: "j", scenario: &Scenario{Expected: Succeeded, Attempt: 2}}
	for attempt, want := range map[int64]string{1: "wrong", 2: "correct"} {
		if verdict, problem := judge(resumed, Fact{UID: "u", State: Succeeded}, record{state: Succeeded, uid: "u", attempt: attempt}, true); verdict != want {
			t.Errorf("attempt %d: %s (%s)", attempt, verdict, problem)
		}
	}
}

func TestReport_appends_another_plan(t *testing.T) {
	t.Parallel()
	r, other := newReport(nil), newReport(nil)
	r.Include("a", Succeeded, map[string]string{"a-1": ""})
	other.Include("b", Failed, map[string]string{"b-1": "", "b-2": "because"})
	r.Append(other)
	want := &Report{
		Jobs: 3, Correct: 2, Wrong: 1,
		Scenarios: []ScenarioReport{
			{Name: "a", Jobs: 1, Expected: Succeeded, Correct: 1}, {Name: "b", Jobs: 2, Expected: Failed, Correct: 1},
		},
		Problems: []Problem{{JobID: "b-2", Verdict: "wrong", Problem: "because"}},
	}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	scenarios := []Scenario{{Name: "a", Expected: Succeeded}, {Name: "b", Expected: Failed}}
	r := newReport(scenarios)
	r.add(planned{&scenarios[0], "a-1"}, "correct", "")
	if !r.Right() {
		t.Error("one correct job of one is not right")
	}
	r.add(planned{&scenarios[1], "b-1"}, "wrong", "because")
	r.add(planned{&scenarios[1], "b-2"}, "lost", "no record")
	if r.Right() {
		t.Error("a wrong and a lost job are right")
	}
	r.Sources = []SourceReport{{Source: "event_streamer", First: 5, Again: 1}}
	path := filepath.Join(t.TempDir(), "new", "report.json")
	if err := r.Write(path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"jobs": 3.0, "correct": 1.0, "wrong": 1.0, "lost": 1.0, "seconds": 0.0,
		"scenarios": []any{
			map[string]any{"name": "a", "jobs": 1.0, "expected": "SUCCEEDED", "correct": 1.0},
			map[string]any{"name": "b", "jobs": 2.0, "expected": "FAILED", "correct": 0.0},
		},
		"sources": []any{map[string]any{"source": "event_streamer", "first": 5.0, "again": 1.0}},
		"problems": []any{
			map[string]any{"job_id": "b-1", "verdict": "wrong", "problem": "because"},
			map[string]any{"job_id": "b-2", "verdict": "lost", "problem": "no record"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report.json (-want +got):\n%s", diff)
	}
	var out strings.Builder
	r.Print(&out)
	for _, s := range []string{"3 jobs: 1 correct, 1 wrong, 1 lost", "wrong b-1: because", "lost b-2: no record", "event_streamer"} {
		if !strings.Contains(out.String(), s) {
			t.Errorf("the table lacks %q:\n%s", s, out.String())
		}
	}
}

func TestReport_includes_what_others_judged(t *testing.T) {
	t.Parallel()
	r := newReport(nil)
	r.Include("kept", "KEPT", map[string]string{"b": "", "a": "it is gone"})
	want := &Report{
		Jobs: 2, Correct: 1, Wrong: 1,
		Scenarios: []ScenarioReport{{Name: "kept", Jobs: 2, Expected: "KEPT", Correct: 1}},
		Problems:  []Problem{{JobID: "a", Verdict: "wrong", Problem: "it is gone"}},
	}
	if diff := cmp.Diff(want, r); diff != "" || r.Right() {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

func TestLetters_waits_for_the_end_of_a_replay(t *testing.T) {
	t.Parallel()
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.Path {
		case "GET /api/letters":
			_, _ = fmt.Fprintf(w, `{"letters":[{"id":"l-1","job_id":%q}]}`, r.URL.Query().Get("job_id"))
		case "POST /api/replays":
			w.WriteHeader(http.StatusAccepted)
			_, _ = w.Write([]byte(`{"id":"o-1","state":"RUNNING"}`))
		case "GET /api/operations/o-1":
			if asked++; asked < 3 {
				_, _ = w.Write([]byte(`{"id":"o-1","state":"RUNNING","replayed":1}`))
				return
			}
			_, _ = w.Write([]byte(`{"id":"o-1","state":"DONE","replayed":2}`))
		default:
			http.Error(w, "no such letter", http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	api := Letters{URL: server.URL}
	list, err := api.List(t.Context(), map[string]string{"job_id": "j 1"})
	if err != nil || len(list) != 1 || list[0].JobID != "j 1" {
		t.Errorf("list %+v, %v", list, err)
	}
	replay, err := api.Replay(t.Context(), map[string]string{"category": "retryable"}, "why")
	if want := (Replay{ID: "o-1", State: "DONE", Replayed: 2}); err != nil || replay != want {
		t.Errorf("replay %+v, %v; want %+v", replay, err, want)
	}
	if _, err := api.Open(t.Context(), "gone"); err == nil || !strings.Contains(err.Error(), "no such letter") {
		t.Errorf("a letter that is gone: %v", err)
	}
}
