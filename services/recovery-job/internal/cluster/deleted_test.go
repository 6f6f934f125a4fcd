package cluster

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/kube"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/recovery-job/internal/judge"
	"github.com/envision/resiliency/services/recovery-job/internal/rules"
)

// deletedInTheForeground is what the API server makes of a Job: it waits for its
// pods, and its generation rises.
func deletedInTheForeground(o *batchv1.Job) {
	at := before(5 * time.Minute)
	o.DeletionTimestamp, o.Finalizers = &at, []string{metav1.FinalizerDeleteDependents}
	o.Generation++
}

// A watcher saw the Job until somebody deleted it: all that it says since is what
// the record knows, and nothing but the deletion is told.
func TestProber_deletionIsTheNews(t *testing.T) {
	t.Parallel()
	set, err := rules.Defaults()
	if err != nil {
		t.Fatal(err)
	}
	j := &judge.Judge{Home: judge.Home{Cluster: "c1", Reporter: "test"}, Rules: set}
	watcher := &kube.Mapper{
		Cluster: "c1", Source: resiliencyv1.Source_SOURCE_EVENT_STREAMER, Reporter: "watcher", Tenants: map[string]string{"ml": "vision"},
	}
	for name, c := range map[string]struct {
		job  []func(*batchv1.Job)
		pods []runtime.Object
	}{
		"runs":         {[]func(*batchv1.Job){ready}, []runtime.Object{aPod(working)}},
		"no_room":      {nil, []runtime.Object{aPod(unschedulable)}},
		"suspended":    {[]func(*batchv1.Job){suspended}, nil},
		"not_admitted": {[]func(*batchv1.Job){suspended, label(queueLabel, "gpu")}, nil},
		"failed_once":  {[]func(*batchv1.Job){failedOnce}, []runtime.Object{aPod(working)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen, err := watcher.Job(kube.ReadJob(aJob(c.job...)))
			if err != nil {
				t.Fatal(err)
			}
			var record job.Record
			for i := range seen.Observations {
				record.Apply(&seen.Observations[i])
			}
			p := prober(fake.NewClientset(append(c.pods, aJob(append(c.job, deletedInTheForeground)...))...), Config{})
			v := j.Judge(&judge.Evidence{Now: noon().Add(3 * time.Hour), Record: &record, Cluster: p.Cluster(t.Context(), query())})
			if v.Action != judge.ActionLeave || v.Reason != judge.ReasonDeleting || !v.Attention || len(v.Claims) > 0 {
				t.Errorf("got %s %s: %s, with %d claims", v.Action, v.Reason, v.Sentence, len(v.Claims))
			}
		})
	}
}
