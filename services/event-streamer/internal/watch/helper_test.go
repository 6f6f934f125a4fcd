package watch

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/envision/resiliency/pkg/kube"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ns = "ml"

var noon = metav1.NewTime(time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC))

// fakeSink remembers what it was told.
type fakeSink struct {
	mu    sync.Mutex
	facts map[types.UID][]fact.Fact
	gone  map[types.UID]func(context.Context) ([]fact.Fact, error)
	lost  []types.UID // gone without a judge
	marks map[types.UID][]fact.Mark
	// progress is what was said of the streams, in order.
	progress []string
	// stored is the watermark.
	stored fact.Levels
	change chan struct{}
}

func newSink() *fakeSink {
	return &fakeSink{
		facts: map[types.UID][]fact.Fact{}, gone: map[types.UID]func(context.Context) ([]fact.Fact, error){},
		marks: map[types.UID][]fact.Mark{}, change: make(chan struct{}, 1),
	}
}

func (s *fakeSink) Seen(uid types.UID, facts []fact.Fact, m fact.Mark)    { s.add(uid, facts, m) }
func (s *fakeSink) Also(uid types.UID, facts []fact.Fact, m ...fact.Mark) { s.add(uid, facts, m...) }

func (s *fakeSink) Stored(stream fact.Stream) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stored[stream]
}

func (s *fakeSink) store(levels fact.Levels) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored = levels
}

func (s *fakeSink) Listed(stream fact.Stream, version, stored uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	said := fmt.Sprintf("listing %s at %d", stream, version)
	if stored > 0 {
		said += fmt.Sprintf(", asked for when the watermark was at %d", stored)
	}
	s.progress = append(s.progress, said)
}

func (s *fakeSink) Reached(stream fact.Stream, version uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress = append(s.progress, fmt.Sprintf("reached %s at %d", stream, version))
	s.signal()
}

func (s *fakeSink) told(progress string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.progress, progress)
}

func (s *fakeSink) add(uid types.UID, facts []fact.Fact, marks ...fact.Mark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks[uid] = append(s.marks[uid], marks...)
	s.facts[uid] = append(s.facts[uid], facts...)
	s.signal()
}

func (s *fakeSink) Gone(uid types.UID, judge func(context.Context) ([]fact.Fact, error), m fact.Mark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks[uid] = append(s.marks[uid], m)
	if judge == nil {
		s.lost = append(s.lost, uid)
	} else {
		s.gone[uid] = judge
	}
	s.signal()
}

func (s *fakeSink) signal() {
	select {
	case s.change <- struct{}{}:
	default:
	}
}

// labels returns what was said of a Job, phases left out, in order and each once.
func (s *fakeSink) labels(uid types.UID) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return labels(s.facts[uid])
}

func labels(facts []fact.Fact) []string {
	var out []string
	for _, f := range facts {
		if label := f.Kind() + " " + f.Label(); f.Kind() != fact.KindPhase && !slices.Contains(out, label) {
			out = append(out, label)
		}
	}
	return out
}

func (s *fakeSink) phases(uid types.UID) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, f := range s.facts[uid] {
		if f.Kind() == fact.KindPhase && !slices.Contains(out, f.Label()) {
			out = append(out, f.Label())
		}
	}
	return out
}

// until waits for a condition that the sink's next changes bring about.
func (s *fakeSink) until(t *testing.T, what string, done func() bool) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for !done() {
		select {
		case <-s.change:
		case <-limit:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// judged asks the judge of a deletion.
func (s *fakeSink) judged(t *testing.T, uid types.UID) ([]string, error) {
	t.Helper()
	s.mu.Lock()
	judge := s.gone[uid]
	s.mu.Unlock()
	if judge == nil {
		t.Fatalf("nobody is to judge the deletion of %s", uid)
	}
	facts, err := judge(t.Context())
	return labels(facts), err
}

// bench is a Watcher over a fake API server; tests call its handlers.
type bench struct {
	*Watcher
	sink *fakeSink
	api  *fake.Clientset
	reg  *prometheus.Registry
}

func newBench(t *testing.T, objects ...runtime.Object) *bench {
	t.Helper()
	b := &bench{sink: newSink(), api: fake.NewClientset(objects...), reg: prometheus.NewRegistry()}
	m := &kube.Mapper{Cluster: "c", Source: resiliencyv1.Source_SOURCE_EVENT_STREAMER, Tenants: map[string]string{ns: "vision"}}
	w, err := New(b.api, []string{ns}, m, b.sink, b.reg, zerolog.New(zerolog.NewTestWriter(t)))
	if err != nil {
		t.Fatal(err)
	}
	b.Watcher = w
	return b
}

// The feeds' changes, as a test makes them. What is handed over is first put
// where the feed would keep it.
func (b *bench) onAdd(o *batchv1.Job) { b.job(change[*kube.Job]{kind: added, now: kube.ReadJob(o)}) }
func (b *bench) onUpdate(was, is *batchv1.Job) {
	b.job(change[*kube.Job]{kind: updated, before: kube.ReadJob(was), now: kube.ReadJob(is)})
}
func (b *bench) onDelete(o *batchv1.Job) {
	b.job(change[*kube.Job]{kind: deleted, now: kube.ReadJob(o)})
}
func (b *bench) onMissing(o *batchv1.Job) {
	b.job(change[*kube.Job]{kind: missing, before: kube.ReadJob(o)})
}

func (b *bench) job(c change[*kube.Job]) { hand(b.Watcher, resourceJobs, c, b.jobChanged) }

func (b *bench) onPod(o *corev1.Pod) { b.pod(change[*kube.Pod]{kind: added, now: kube.ReadPod(o)}) }
func (b *bench) onPodDelete(o *corev1.Pod) {
	b.pod(change[*kube.Pod]{kind: deleted, now: kube.ReadPod(o)})
}
func (b *bench) pod(c change[*kube.Pod]) { hand(b.Watcher, resourcePods, c, b.podChanged) }

// count reads a counter with one label.
func (b *bench) count(t *testing.T, name, label string) (sum float64) {
	t.Helper()
	families, err := b.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (len(m.GetLabel()) == 0 || m.GetLabel()[0].GetValue() == label) {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

func newJob(uid string, edits ...func(*batchv1.Job)) *batchv1.Job {
	o := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		Name: "train", Namespace: ns, UID: types.UID(uid), Generation: 1, CreationTimestamp: noon,
		Labels: map[string]string{kube.LabelJobID: "j-17"}, Annotations: map[string]string{},
	}}
	for _, edit := range edits {
		edit(o)
	}
	return o
}

func running(o *batchv1.Job) {
	one, start := int32(1), metav1.NewTime(noon.Add(time.Second))
	o.Status.Ready, o.Status.StartTime = &one, &start
}

func holds(kind batchv1.JobConditionType, reason string) func(*batchv1.Job) {
	return func(o *batchv1.Job) {
		o.Status.Conditions = append(o.Status.Conditions, batchv1.JobCondition{
			Type: kind, Status: corev1.ConditionTrue, Reason: reason, LastTransitionTime: metav1.NewTime(noon.Add(time.Minute)),
		})
	}
}

func newPod(uid, owner string, edits ...func(*corev1.Pod)) *corev1.Pod {
	controller := true
	o := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: "train-" + uid, Namespace: ns, UID: types.UID(uid), CreationTimestamp: noon,
		Labels:          map[string]string{kube.LabelJobID: "j-17"},
		OwnerReferences: []metav1.OwnerReference{{Kind: "Job", Name: "train", UID: types.UID(owner), Controller: &controller}},
	}}
	for _, edit := range edits {
		edit(o)
	}
	return o
}

func oomKilled(o *corev1.Pod) {
	start := metav1.NewTime(noon.Add(time.Second))
	o.Status.Phase, o.Status.StartTime = corev1.PodFailed, &start
	o.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", State: corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{Reason: "OOMKilled", ExitCode: 137, FinishedAt: metav1.NewTime(noon.Add(time.Minute))},
	}}}
}

func unschedulable(o *corev1.Pod) {
	o.Status.Phase = corev1.PodPending
	o.Status.Conditions = []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", LastTransitionTime: noon,
	}}
}
