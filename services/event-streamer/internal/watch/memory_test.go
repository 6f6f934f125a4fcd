package watch

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

// discard keeps nothing.
type discard struct{}

func (discard) Seen(types.UID, []fact.Fact, fact.Mark)                                {}
func (discard) Also(types.UID, []fact.Fact, ...fact.Mark)                             {}
func (discard) Gone(types.UID, func(context.Context) ([]fact.Fact, error), fact.Mark) {}
func (discard) Listed(fact.Stream, uint64, uint64)                                    {}
func (discard) Stored(fact.Stream) uint64                                             { return 0 }
func (discard) Reached(fact.Stream, uint64)                                           {}

// keptPerJob is the most that an ended Job and its ended pod may cost for as long
// as the Job is there, in bytes: 20,000 of them must leave room for the rest of
// the process within 150 MiB.
const keptPerJob = 1200

// An ended Job is kept in little more than its names; of its pod nothing is.
//
//nolint:paralleltest // it measures the heap, which all tests share
func TestWatcher_memoryOfEndedJobs(t *testing.T) {
	const n = 2000
	b := newBench(t)
	w, err := New(b.api, []string{ns}, b.mapper, discard{}, prometheus.NewRegistry(), b.log)
	if err != nil {
		t.Fatal(err)
	}
	before := heap()
	for i := range n {
		o := newJob(fmt.Sprintf("%036d", i), named(fmt.Sprintf("train-%d", i)), running,
			holds(batchv1.JobSuccessCriteriaMet, "CompletionsReached"), holds(batchv1.JobComplete, "CompletionsReached"))
		o.Spec.Template.Spec.Containers = []corev1.Container{{Name: "main", Image: "example.invalid/train:1", Args: make([]string, 50)}}
		o.ManagedFields = []metav1.ManagedFieldsEntry{{FieldsV1: &metav1.FieldsV1{Raw: make([]byte, 2000)}}}
		p := newPod(fmt.Sprintf("p-%036d", i), string(o.UID), oomKilled)
		p.OwnerReferences[0].Name, p.OwnerReferences[0].UID = o.Name, o.UID
		if err := w.jobs[ns].Add(o); err != nil {
			t.Fatal(err)
		}
		for _, c := range w.jobs[ns].take() {
			hand(w, resourceJobs, c, w.jobChanged)
		}
		if err := w.pods[ns].Add(p); err != nil {
			t.Fatal(err)
		}
		for _, c := range w.pods[ns].take() {
			hand(w, resourcePods, c, w.podChanged)
		}
	}
	per := (int64(heap()) - int64(before)) / n
	t.Logf("%d bytes a Job", per)
	if per > keptPerJob || w.pods[ns].len() != 0 || w.jobs[ns].len() != n {
		t.Errorf("%d bytes a Job, want at most %d; %d jobs and %d pods kept", per, keptPerJob, w.jobs[ns].len(), w.pods[ns].len())
	}
	runtime.KeepAlive(w)
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
