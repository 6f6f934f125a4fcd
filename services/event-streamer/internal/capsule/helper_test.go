package capsule

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/envision/resiliency/pkg/kube"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

// fakeCluster holds one pod's worth of answers, given to whoever asks.
type fakeCluster struct {
	// pod answers for a pod; nil makes one whose container "work" has failed.
	pod func(name string) (*corev1.Pod, error)
	// log answers for a log; nil gives "log of <container>".
	log func(ctx context.Context, container string, previous bool) (io.ReadCloser, error)
	// events answers for an object; nil gives none.
	events func(uid types.UID) ([]corev1.Event, error)

	mu    sync.Mutex
	calls map[string]int
	busy  int
	peak  int // most pods asked for at once
}

func (c *fakeCluster) count(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls == nil {
		c.calls = map[string]int{}
	}
	c.calls[what]++
}

func (c *fakeCluster) called(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[what]
}

func (c *fakeCluster) Pod(_ context.Context, _, name string) (*corev1.Pod, error) {
	c.count("pod")
	if c.pod != nil {
		return c.pod(name)
	}
	return podNamed(name), nil
}

// podNamed is the pod that failedPod is the compact form of.
func podNamed(name string, more ...corev1.ContainerStatus) *corev1.Pod {
	ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error"}}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ml", UID: types.UID(strings.TrimPrefix(name, "train-"))},
		Spec:       corev1.PodSpec{NodeName: "node-1"},
		Status: corev1.PodStatus{
			Phase: corev1.PodFailed, ContainerStatuses: append([]corev1.ContainerStatus{{Name: "work", State: ended}}, more...),
		},
	}
}

func (c *fakeCluster) Log(ctx context.Context, _, _, container string, previous bool, _ int64) (io.ReadCloser, error) {
	c.count("log")
	c.mu.Lock()
	c.busy++
	c.peak = max(c.peak, c.busy)
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.busy--
		c.mu.Unlock()
	}()
	if c.log != nil {
		return c.log(ctx, container, previous)
	}
	return io.NopCloser(strings.NewReader("log of " + container + "\n")), nil
}

func (c *fakeCluster) Events(_ context.Context, _ string, uid types.UID, _ bool, _ int64) ([]corev1.Event, error) {
	c.count("events")
	if c.events != nil {
		return c.events(uid)
	}
	return nil, nil
}

func gone(name string) error {
	return apierrors.NewNotFound(schema.GroupResource{Resource: "pods"}, name)
}

// fakeSender confirms what outcome lets pass.
type fakeSender struct {
	outcome func(try int) error // nil confirms all

	mu        sync.Mutex
	tries     int
	confirmed []*resiliencyv1.PhaseEvent
}

func (s *fakeSender) Send(_ context.Context, facts []fact.Fact) []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	errs := make([]error, len(facts))
	for i, f := range facts {
		s.tries++
		if s.outcome != nil {
			errs[i] = s.outcome(s.tries)
		}
		if errs[i] == nil {
			s.confirmed = append(s.confirmed, f.Message().(*resiliencyv1.PhaseEvent))
		}
	}
	return errs
}

func (s *fakeSender) sent() []*resiliencyv1.PhaseEvent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*resiliencyv1.PhaseEvent(nil), s.confirmed...)
}

// pods are those whose capsules were sent, in that order.
func (s *fakeSender) pods() (all []string) {
	for _, e := range s.sent() {
		all = append(all, strings.TrimPrefix(e.GetFailureCaptured().GetPod(), "train-"))
	}
	return all
}

type fakeStore struct {
	err error

	mu      sync.Mutex
	objects map[string][]byte
}

func (s *fakeStore) Put(_ context.Context, object string, data []byte) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.objects == nil {
		s.objects = map[string][]byte{}
	}
	s.objects[object] = data
	return "gs://b/" + object, s.err
}

// bench is a pool that runs, and leads unless standby was asked for, inside a
// bubble of fake time that begins at midnight of the year 2000.
type bench struct {
	*Pool
	cluster *fakeCluster
	sender  *fakeSender
	reg     *prometheus.Registry
	stop    func() // ends Run and waits for it
}

type setup struct {
	cfg     Config
	cluster *fakeCluster
	sender  *fakeSender
	store   Store
	standby bool
}

func bubble(t *testing.T, s setup, test func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{cluster: s.cluster, sender: s.sender, reg: prometheus.NewRegistry()}
		if b.cluster == nil {
			b.cluster = &fakeCluster{}
		}
		if b.sender == nil {
			b.sender = &fakeSender{}
		}
		mapper := &kube.Mapper{Cluster: "c", Source: resiliencyv1.Source_SOURCE_EVENT_STREAMER}
		pool, err := New(s.cfg, b.cluster, s.store, b.sender, mapper, b.reg, zerolog.New(zerolog.NewTestWriter(t)))
		if err != nil {
			t.Fatal(err)
		}
		b.Pool = pool
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if err := b.Run(ctx); err != nil {
				t.Errorf("Run: %v", err)
			}
		}()
		b.stop = func() { cancel(); <-ended }
		defer b.stop()
		if !s.standby {
			b.Lead()
		}
		test(t, b)
	})
}

// value reads a counter or gauge with that label, "" for the sum.
func (b *bench) value(t *testing.T, name, label string) (sum float64) {
	t.Helper()
	families, err := b.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func (b *bench) result(t *testing.T, result string) float64 {
	t.Helper()
	return b.value(t, "event_streamer_capsules_total", result)
}

// jobNamed is a Job of its own, failing if reasons are given.
func jobNamed(uid string, failing ...kube.Condition) *kube.Job {
	j := jobWith(failing...)
	j.UID, j.Name = types.UID(uid), "train-"+uid
	return j
}

func backoffLimit(p *kube.Pod) kube.Condition {
	return kube.Condition{Type: batchv1.JobFailed, True: true, Reason: "BackoffLimitExceeded", At: p.EndedAt}
}
