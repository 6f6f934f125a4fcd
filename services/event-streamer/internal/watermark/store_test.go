package watermark

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const name = "event-streamer"

func identity() Identity { return Identity{ClusterUID: "c-1", Cluster: "gpu", Receiver: "pubsub/p"} }

func newStore(t *testing.T, api *fake.Clientset, id Identity) *Store {
	t.Helper()
	return NewStore(api.CoreV1().ConfigMaps("resiliency"), name, id, zerolog.New(zerolog.NewTestWriter(t)))
}

func TestStore_roundTrip(t *testing.T) {
	t.Parallel()
	api := fake.NewClientset()
	s := newStore(t, api, identity())
	if levels, err := s.Load(t.Context()); err != nil || levels != nil {
		t.Fatalf("before the first save: %v, %v", levels, err)
	}
	want := fact.Levels{"jobs.ml": 1 << 60, "pods.ml": 7, "pods.etl": 0}
	for _, levels := range []fact.Levels{{"jobs.ml": 5}, want, want} {
		if err := s.Save(t.Context(), levels); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(writes(api)); n != 2 {
		t.Errorf("%d writes, want 2: what is there already is not written", n)
	}
	delete(want, "pods.etl") // nothing is known of it
	got, err := newStore(t, api, identity()).Load(t.Context())
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func writes(api *fake.Clientset) []clienttesting.Action {
	return slices.DeleteFunc(api.Actions(), func(a clienttesting.Action) bool { return a.GetVerb() == "get" })
}

// What is about something else says nothing, and is replaced.
func TestStore_identity(t *testing.T) {
	t.Parallel()
	others := map[string]Identity{
		"rebuilt_cluster":  {ClusterUID: "c-2", Cluster: "gpu", Receiver: "pubsub/p"},
		"renamed_cluster":  {ClusterUID: "c-1", Cluster: "cpu", Receiver: "pubsub/p"},
		"another_project":  {ClusterUID: "c-1", Cluster: "gpu", Receiver: "pubsub/q"},
		"another_receiver": {ClusterUID: "c-1", Cluster: "gpu", Receiver: "log"},
	}
	for title, other := range others {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			api := fake.NewClientset()
			if err := newStore(t, api, identity()).Save(t.Context(), fact.Levels{"jobs.ml": 5}); err != nil {
				t.Fatal(err)
			}
			s := newStore(t, api, other)
			if levels, err := s.Load(t.Context()); err != nil || levels != nil {
				t.Fatalf("taken over: %v, %v", levels, err)
			}
			if err := s.Save(t.Context(), fact.Levels{"jobs.ml": 1}); err != nil {
				t.Fatal(err)
			}
			if levels, err := newStore(t, api, other).Load(t.Context()); err != nil || levels["jobs.ml"] != 1 {
				t.Errorf("after the save: %v, %v", levels, err)
			}
		})
	}
}

// What somebody wrote by hand may make more be published, and never less.
func TestStore_unreadable(t *testing.T) {
	t.Parallel()
	api := fake.NewClientset(&corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "resiliency", Name: name, ResourceVersion: "3"},
		Data: map[string]string{
			"cluster_uid": "c-1", "cluster": "gpu", "receiver": "pubsub/p", "note": "x", "stream.": "1",
			"stream.jobs.a": "12", "stream.jobs.b": "-1", "stream.jobs.c": "012", "stream.jobs.d": "99999999999999999999", "stream.jobs.e": "",
		},
	})
	got, err := newStore(t, api, identity()).Load(t.Context())
	if diff := cmp.Diff(fact.Levels{"jobs.a": 12}, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// Two that write at once: the second is told, and may write next time.
func TestStore_conflict(t *testing.T) {
	t.Parallel()
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "configmaps"}, name, errors.New("newer"))
	api := fake.NewClientset()
	s := newStore(t, api, identity())
	if err := s.Save(t.Context(), fact.Levels{"jobs.ml": 5}); err != nil {
		t.Fatal(err)
	}
	once := true
	api.PrependReactor("update", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) {
		defer func() { once = false }()
		return once, nil, conflict
	})
	if err := s.Save(t.Context(), fact.Levels{"jobs.ml": 6}); !apierrors.IsConflict(err) {
		t.Fatalf("got %v, want the conflict", err)
	}
	if err := s.Save(t.Context(), fact.Levels{"jobs.ml": 6}); err != nil {
		t.Fatal(err)
	}
	if err := api.CoreV1().ConfigMaps("resiliency").Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	_ = s.Save(t.Context(), fact.Levels{"jobs.ml": 7}) // finds that it was deleted
	if err := s.Save(t.Context(), fact.Levels{"jobs.ml": 7}); err != nil {
		t.Errorf("after it was deleted: %v", err)
	}
}

// fakeQueue remembers what it was told.
type fakeQueue struct {
	mu            sync.Mutex
	leads         bool
	known, levels fact.Levels
}

func (q *fakeQueue) set(edit func(q *fakeQueue)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	edit(q)
}

func (q *fakeQueue) Lead()                    { q.set(func(q *fakeQueue) { q.leads = true }) }
func (q *fakeQueue) Stand()                   { q.set(func(q *fakeQueue) { q.leads = false }) }
func (q *fakeQueue) Known(stored fact.Levels) { q.set(func(q *fakeQueue) { q.known = stored }) }

func (q *fakeQueue) Leads() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.leads
}

func (q *fakeQueue) Watermark() fact.Levels {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.levels
}

// A standby follows the leader's watermark and writes nothing; a leader writes
// its own, at most once a second, and at the end.
func TestKeeper(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := fake.NewClientset()
		if err := newStore(t, api, identity()).Save(t.Context(), fact.Levels{"jobs.ml": 5}); err != nil {
			t.Fatal(err)
		}
		api.ClearActions()
		q := &fakeQueue{levels: fact.Levels{"jobs.ml": 9}}
		k := NewKeeper(newStore(t, api, identity()), q, prometheus.NewRegistry(), zerolog.Nop())
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- k.Run(ctx) }()
		synctest.Wait()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if q.known["jobs.ml"] != 5 || len(writes(api)) != 0 {
			t.Errorf("on standby: knows %v, %d writes", q.known, len(writes(api)))
		}
		k.Lead(ctx)
		time.Sleep(3500 * time.Millisecond)
		synctest.Wait()
		if n := len(writes(api)); !q.leads || n != 1 {
			t.Errorf("leads %v, %d writes, want one: nothing has changed since", q.leads, n)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		q.levels = fact.Levels{"jobs.ml": 10}
		k.Close(t.Context())
		if levels, err := newStore(t, api, identity()).Load(t.Context()); err != nil || levels["jobs.ml"] != 10 {
			t.Errorf("after the end: %v, %v", levels, err)
		}
		k.Stand()
		q.levels = fact.Levels{"jobs.ml": 11}
		if k.Close(t.Context()); len(writes(api)) != 2 {
			t.Error("wrote without leading")
		}
	})
}

// A watermark that cannot be read delays a new leader, but does not silence it;
// and a lease lost meanwhile is not led on.
func TestKeeper_Lead_withoutWatermark(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := fake.NewClientset()
		api.PrependReactor("get", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, errors.New("connection refused")
		})
		q := &fakeQueue{}
		k := NewKeeper(newStore(t, api, identity()), q, prometheus.NewRegistry(), zerolog.Nop())
		lost, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if k.Lead(lost); q.leads {
			t.Error("leads without the lease")
		}
		begun := time.Now()
		if k.Lead(t.Context()); !q.leads || time.Since(begun) != loadPatience {
			t.Errorf("leads %v after %s", q.leads, time.Since(begun))
		}
	})
}
