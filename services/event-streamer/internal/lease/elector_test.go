package lease

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// replica is one participant; tests wait for what it tells.
type replica struct {
	leads, stands chan struct{}
	stop          context.CancelFunc
	ended         chan error
}

// join starts a replica with short times and real ones: client-go's clock is.
func join(t *testing.T, api *fake.Clientset, identity string) *replica {
	t.Helper()
	r := &replica{leads: make(chan struct{}, 10), stands: make(chan struct{}, 100), ended: make(chan error, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	var once sync.Once
	r.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-r.ended; err != nil {
				t.Errorf("%s: %v", identity, err)
			}
		})
	}
	t.Cleanup(r.stop)
	e := New(api.CoordinationV1(), Config{
		Namespace: "resiliency", Name: "event-streamer", Identity: identity,
		Duration: 2500 * time.Millisecond, RenewDeadline: 500 * time.Millisecond, RetryPeriod: 100 * time.Millisecond,
	}, zerolog.New(zerolog.NewTestWriter(t)))
	go func() {
		r.ended <- e.Run(ctx, func(ctx context.Context) {
			r.leads <- struct{}{}
			<-ctx.Done()
		}, func() {
			select {
			case r.stands <- struct{}{}:
			default:
			}
		})
	}()
	return r
}

func told(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("never %s", what)
	}
}

func holder(t *testing.T, api *fake.Clientset) string {
	t.Helper()
	lease, err := api.CoordinationV1().Leases("resiliency").Get(context.Background(), "event-streamer", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// A clean end releases the Lease; one leads at a time.
func TestElector_handOver(t *testing.T) {
	t.Parallel()
	api := fake.NewClientset()
	first := join(t, api, "first")
	told(t, "led", first.leads)
	second := join(t, api, "second")
	if got := holder(t, api); got != "first" {
		t.Errorf("held by %q", got)
	}
	first.stop()
	told(t, "stood down", first.stands)
	told(t, "taken over", second.leads)
	second.stop()
	if got := holder(t, api); got != "" {
		t.Errorf("held by %q after all ended", got)
	}
}

// A leader that cannot renew stands down, does not end, and leads again.
func TestElector_apiServerAway(t *testing.T) {
	t.Parallel()
	api := fake.NewClientset()
	var mu sync.Mutex
	away := false
	api.PrependReactor("*", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
		mu.Lock()
		defer mu.Unlock()
		return away, nil, errors.New("connection refused")
	})
	set := func(v bool) { mu.Lock(); defer mu.Unlock(); away = v }
	r := join(t, api, "only")
	told(t, "led", r.leads)
	set(true)
	told(t, "stood down", r.stands)
	set(false)
	told(t, "led again", r.leads)
}

// A process restarted under its identity does not wait for its own Lease.
func TestElector_ownLease(t *testing.T) {
	t.Parallel()
	api := fake.NewClientset()
	first := join(t, api, "pod-0_:8081")
	told(t, "led", first.leads)
	held := holder(t, api)
	api.PrependReactor("update", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
		return false, nil, nil
	})
	second := join(t, api, held) // as if the first had been killed
	begun := time.Now()
	told(t, "taken over", second.leads)
	if waited := time.Since(begun); waited > time.Second {
		t.Errorf("waited %s for a Lease of its own", waited)
	}
}

// A standby takes over from a leader that died within Duration.
func TestElector_leaderDied(t *testing.T) {
	t.Parallel()
	api := fake.NewClientset()
	now := metav1.NowMicro()
	dead, seconds := "dead", int32(2)
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "resiliency", Name: "event-streamer"}, Spec: coordinationv1.LeaseSpec{
		HolderIdentity: &dead, LeaseDurationSeconds: &seconds, AcquireTime: &now, RenewTime: &now,
	}}
	if _, err := api.CoordinationV1().Leases("resiliency").Create(t.Context(), lease, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	standby := join(t, api, "standby")
	select {
	case <-standby.leads:
		t.Error("took a Lease that is held")
	case <-time.After(time.Second):
	}
	told(t, "taken over", standby.leads)
}

func TestConfig_Held(t *testing.T) {
	t.Parallel()
	c := Config{Duration: 15 * time.Second, RetryPeriod: time.Second}
	if got := c.Held(); got != 10*time.Second {
		t.Errorf("held for %s: seen 2.2 s late and tried 2.2 s late, 10 s are left of 15", got)
	}
}
