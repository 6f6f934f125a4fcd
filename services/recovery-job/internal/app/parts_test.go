package app

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/kube"
	"github.com/envision/resiliency/pkg/service"
	"github.com/envision/resiliency/services/recovery-job/internal/cluster"
	"github.com/envision/resiliency/services/recovery-job/internal/judge"
	"github.com/envision/resiliency/services/recovery-job/internal/report"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func TestHealth_AsksNowAndThen(t *testing.T) {
	t.Parallel()
	now, asked := noon, 0
	var pubsub, store error
	h := &health{
		now:    func() time.Time { return now },
		pubsub: func(context.Context) error { asked++; return pubsub },
		beats: func(_ context.Context, service string) ([]jobstore.Heartbeat, error) {
			if service != "status-updater" {
				t.Errorf("asked for %s", service)
			}
			return []jobstore.Heartbeat{{At: now, Every: time.Minute, Receiving: true, BacklogAge: time.Second}}, store
		},
	}
	for range 3 {
		if p := h.Pipeline(t.Context()); p.Deaf(now) != "" || len(p.Beats) != 1 || p.Beats[0].BacklogAge != time.Second {
			t.Errorf("pipeline %+v", p)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	now, pubsub = now.Add(healthAge), errors.New("no route")
	if p := h.Pipeline(t.Context()); !strings.Contains(p.Deaf(now), "no route") {
		t.Errorf("pipeline %+v", p)
	}
	now, pubsub, store = now.Add(healthAge), nil, errors.New("no database")
	if p := h.Pipeline(t.Context()); p.Probe != judge.Failed || !strings.Contains(p.Deaf(now), "no database") {
		t.Errorf("pipeline %+v", p)
	}
}

type phases struct {
	phase jobstore.Phase
	found bool
	err   error
}

func (p phases) NewestPhase(context.Context, string) (jobstore.Phase, bool, error) {
	return p.phase, p.found, p.err
}

func TestProbes_AnErrorIsNeverNothing(t *testing.T) {
	t.Parallel()
	ask := func(p phases) judge.Phase {
		return (&probes{records: p}).Phase(t.Context(), judge.PhaseQuery{JobID: "j"})
	}
	if got := ask(phases{err: errors.New("down")}); got.Probe != judge.Failed || got.Fault.Err != "down" {
		t.Errorf("error: %+v", got)
	}
	if got := ask(phases{}); got.Probe != judge.Answered || !got.At.IsZero() {
		t.Errorf("none: %+v", got)
	}
	if got := ask(phases{jobstore.Phase{At: noon, Name: "train"}, true, nil}); got.Probe != judge.Answered || !got.At.Equal(noon) || got.Name != "train" {
		t.Errorf("one: %+v", got)
	}
	if got := (noBucket{errors.New("no credentials")}).Output(t.Context(), judge.OutputQuery{}); got.Probe != judge.Failed {
		t.Errorf("without a bucket: %+v", got)
	}
}

func aReport() *report.Report {
	r := &report.Report{RunID: "r", Cluster: "main", Plan: true, State: report.Cut, Error: "out of time", Read: 5, Looked: 3, Silent: "Pub/Sub is away"}
	r.Count(&report.Item{
		JobID: "j-1", Stage: "kubernetes", State: "RUNNING", Rule: "kubernetes", Action: "fail", Verdict: "FAILED", Evidence: "ABSENCE",
		Reason: "GONE", Sentence: strings.Repeat("nothing is there ", 12), Fate: report.FateWithheld,
	})
	r.Count(&report.Item{JobID: "j-2", Action: "leave", Reason: "RUNNING", Fate: report.FateLeft})
	return r
}

func TestShow(t *testing.T) {
	t.Parallel()
	var table, text, none strings.Builder
	if err := errors.Join(show(&table, formatAuto, formatTable, aReport()), show(&text, formatJSON, formatTable, aReport()), show(&none, formatAuto, formatNone, aReport())); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"j-1", "FAILED (ABSENCE), withheld", "GONE", "leave", "Pub/Sub is away", "CUT: out of time", "5 due records read, 3 jobs looked at, 1 without a verdict", "WOULD BE"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("table lacks %q:\n%s", want, table.String())
		}
	}
	var got report.Report
	if err := json.Unmarshal([]byte(text.String()), &got); err != nil || len(got.Items) != 2 || got.Counts["withheld"] != 1 || got.State != report.Cut {
		t.Errorf("JSON %+v, %v", got, err)
	}
	if none.Len() > 0 {
		t.Errorf("shown: %s", none.String())
	}
}

// All the evidence on one job is shown below it; on many, only to programs.
func TestShow_Evidence(t *testing.T) {
	t.Parallel()
	one := &report.Report{Plan: true, State: report.Done}
	one.Count(&report.Item{JobID: "j-1", Action: "fail", Fate: report.FatePlanned, Detail: "rule: kubernetes\ncluster main, live: nothing"})
	many := aReport()
	many.Items[0].Detail = "cluster main: nothing"
	for _, c := range []struct {
		report *report.Report
		format string
		want   bool
	}{{one, formatTable, true}, {one, formatJSON, true}, {many, formatTable, false}, {many, formatJSON, true}} {
		var out strings.Builder
		if err := show(&out, c.format, formatTable, c.report); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), "cluster main") != c.want {
			t.Errorf("%d jobs as %s:\n%s", len(c.report.Items), c.format, out.String())
		}
	}
}

func TestConclude(t *testing.T) {
	t.Parallel()
	failed := errors.New("no database")
	done := &report.Report{State: report.Done, Counts: map[string]int{"written": 3, "left": 2, "moved": 1}}
	open := &report.Report{State: report.Done, Looked: 4, Counts: map[string]int{"unjudged": 1, "withheld": 1, "failed": 1}}
	for _, c := range []struct {
		name   string
		report *report.Report
		err    error
		want   string
	}{
		{"done", done, nil, ""},
		{"not_all_judged", open, nil, "3 are left; 4 were looked at"},
		{"cut", &report.Report{State: report.Cut, Error: "out of time"}, nil, "out of time"},
		{"failed", done, failed, "no database"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := conclude(c.report, c.err)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v", err)
			}
		})
	}
	if !progressAt(open).IsZero() || !progressAt(&report.Report{State: report.Done, EndedAt: noon}).Equal(noon) {
		t.Error("progress is what settled all")
	}
}

// kept keeps heartbeats.
type kept struct {
	beats []jobstore.Heartbeat
	err   error
}

func (k *kept) Beat(_ context.Context, h jobstore.Heartbeat) error {
	k.beats = append(slices.DeleteFunc(k.beats, func(b jobstore.Heartbeat) bool { return b.Instance == h.Instance }), h)
	return nil
}

func (k *kept) Heartbeats(context.Context, string) ([]jobstore.Heartbeat, error) {
	if k.err != nil {
		return nil, k.err
	}
	return k.beats, nil
}

func TestBeat_KeepsTheLastProgress(t *testing.T) {
	t.Parallel()
	k := &kept{beats: []jobstore.Heartbeat{{Instance: "other", At: noon, ProgressAt: noon.Add(-time.Minute)}}}
	for i, progress := range []time.Time{{}, noon, {}, {}} {
		if err := beat(t.Context(), k, jobstore.Heartbeat{Instance: "main", At: noon.Add(time.Duration(i) * time.Hour), ProgressAt: progress}); err != nil {
			t.Fatal(err)
		}
		want := noon
		if i == 0 {
			want = time.Time{}
		}
		if got := k.beats[1]; !got.ProgressAt.Equal(want) || !got.At.Equal(noon.Add(time.Duration(i)*time.Hour)) || len(k.beats) != 2 {
			t.Errorf("heartbeat %d: %+v", i, k.beats)
		}
	}
	k.err = errors.New("no database")
	if err := beat(t.Context(), k, jobstore.Heartbeat{Instance: "main"}); !errors.Is(err, k.err) || len(k.beats) != 2 || !k.beats[1].At.IsZero() {
		t.Errorf("%v, %+v", err, k.beats)
	}
}

func TestParts_MissingRightsAreTold(t *testing.T) {
	t.Parallel()
	for _, allowed := range []bool{false, true} {
		api := fake.NewClientset()
		api.PrependReactor("create", "selfsubjectaccessreviews", func(a clienttesting.Action) (bool, runtime.Object, error) {
			review := a.(clienttesting.CreateAction).GetObject().(*authorizationv1.SelfSubjectAccessReview).DeepCopy()
			review.Status.Allowed = allowed || review.Spec.ResourceAttributes.Resource != "pods"
			return true, review, nil
		})
		var log strings.Builder
		p := &parts{
			rt: &service.Runtime{Log: zerolog.New(&log)}, cfg: &Config{Cluster: "main"},
			prober: cluster.New(api, &kube.Mapper{Tenants: map[string]string{"ml": "vision"}}, cluster.Config{}, time.Now, zerolog.Nop()),
		}
		p.checkAccess(t.Context())
		if told := strings.Contains(log.String(), "may not list pods in namespace ml"); told == allowed || allowed && log.Len() > 0 {
			t.Errorf("allowed %v: %s", allowed, log.String())
		}
	}
}

func TestOutlive(t *testing.T) {
	t.Parallel()
	ctx, end := context.WithCancel(t.Context())
	longer, cancel := outlive(ctx, 20*time.Millisecond)
	defer cancel()
	end()
	if longer.Err() != nil {
		t.Error("it ended at once")
	}
	select {
	case <-longer.Done():
	case <-time.After(10 * time.Second):
		t.Error("it never ended")
	}
	other, cancel := outlive(t.Context(), time.Hour)
	cancel()
	if other.Err() == nil {
		t.Error("it was not cancelled")
	}
}

func TestOutbox_WaitsWithoutPubSub(t *testing.T) {
	t.Parallel()
	o := &outbox{broker: &broker{project: "", log: zerolog.Nop()}}
	o.Offer([]jobstore.Entry{{ID: "e"}})
	if _, err := o.finish(t.Context()); err == nil || !strings.Contains(err.Error(), "waits in the outbox") {
		t.Errorf("finish: %v", err)
	}
}

// apiServer answers with the state of the list that was made last, as one does
// that was cut off.
type apiServer struct{ prepared error }

func (a *apiServer) Prepare(ctx context.Context, _ int) { a.prepared = ctx.Err() }

func (a *apiServer) Cluster(context.Context, judge.ClusterQuery) judge.Cluster {
	if a.prepared != nil {
		return judge.Cluster{Probe: judge.Failed, Fault: judge.Fault{Kind: judge.FaultUnavailable, Err: a.prepared.Error()}}
	}
	return judge.Cluster{Probe: judge.Answered}
}

// The list serves all that is asked later, so the end of one question's time must
// not be that of the list.
func TestProbes_ListOutlivesTheQuestionThatMakesIt(t *testing.T) {
	t.Parallel()
	p := (&probes{cluster: &apiServer{}}).during(t.Context())
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for range listFrom + 1 {
		p.Cluster(over, judge.ClusterQuery{JobID: "j"})
	}
	if c := p.Cluster(t.Context(), judge.ClusterQuery{JobID: "k"}); c.Probe != judge.Answered {
		t.Errorf("a later question: %+v", c)
	}
}
