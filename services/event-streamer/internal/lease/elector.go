// Package lease lets one of several replicas lead, by a Lease of
// coordination.k8s.io. It knows nothing of what leading means.
//
// A replica that cannot renew stands down at once and tries again; it does not
// end its process. What it holds, above all deletions that no list shows again,
// stays in memory, and an API server that is away for a minute restarts nobody.
// Two may lead for a moment (a process that was stopped and goes on): nothing
// here guards against it, since both give one event one id.
package lease

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// Config says which Lease, and how fast.
type Config struct {
	Namespace, Name string
	// Identity is this process's; it must be that of no other live one. If the
	// Lease is still held under it, by a process before this one, it is taken
	// over without a wait.
	Identity string
	// Duration is the time within which a standby has taken over from a leader
	// that died.
	Duration time.Duration
	// RenewDeadline is after how long without a renewal the leader stands down;
	// below Held.
	RenewDeadline time.Duration
	// RetryPeriod is the time between tries.
	RetryPeriod time.Duration
}

// Held is for how long a Lease holds once a standby has seen it renewed: what is
// left of Duration if that and the try to take it over come as late as they may,
// in the whole seconds that the Lease is written in.
func (c *Config) Held() time.Duration {
	// client-go waits from once to 2.2 times as long between tries.
	late := time.Duration(float64(c.RetryPeriod) * (1 + leaderelection.JitterFactor))
	return (c.Duration - 2*late).Truncate(time.Second)
}

// Elector takes part in an election.
type Elector struct {
	cfg  Config
	lock resourcelock.Interface
	log  zerolog.Logger
}

// New returns an Elector that does nothing before Run.
func New(client coordinationv1.CoordinationV1Interface, cfg Config, log zerolog.Logger) *Elector {
	return &Elector{cfg: cfg, log: log, lock: &resourcelock.LeaseLock{
		LeaseMeta: metav1.ObjectMeta{Namespace: cfg.Namespace, Name: cfg.Name}, Client: client,
		LockConfig: resourcelock.ResourceLockConfig{Identity: cfg.Identity},
	}}
}

// Run takes part until ctx ends, then releases the Lease if this process holds
// it. lead is called in a goroutine of its own each time the Lease is won; its
// context ends when the Lease is lost. stand is called when the Lease is lost,
// and last once lead has returned.
func (e *Elector) Run(ctx context.Context, lead func(context.Context), stand func()) error {
	for ctx.Err() == nil {
		if err := e.term(ctx, lead, stand); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(e.cfg.RetryPeriod): // others first: this one just failed
		}
	}
	return nil
}

// term is one time from the wait for the Lease to its loss.
func (e *Elector) term(ctx context.Context, lead func(context.Context), stand func()) error {
	led := make(chan struct{})
	lock := &watchedLock{Interface: e.lock}
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: lock, Name: e.cfg.Name,
		LeaseDuration: e.cfg.Held(), RenewDeadline: e.cfg.RenewDeadline, RetryPeriod: e.cfg.RetryPeriod,
		// Run would release before it says that the Lease is lost, which may take
		// long when the API server is away: this package does so itself.
		ReleaseOnCancel: false,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) {
				defer close(led)
				lead(ctx)
			},
			OnStoppedLeading: stand,
			OnNewLeader: func(identity string) {
				e.log.Info().Str("lease", e.cfg.Namespace+"/"+e.cfg.Name).Str("leader", identity).
					Bool("self", identity == e.cfg.Identity).Msg("there is a new leader")
			},
		},
	})
	if err != nil {
		return fmt.Errorf("set up the election by lease %s/%s: %w", e.cfg.Namespace, e.cfg.Name, err)
	}
	elector.Run(ctx)
	if !lock.written {
		return nil // never held it
	}
	<-led
	stand()
	if ctx.Err() != nil && elector.IsLeader() {
		e.release(context.WithoutCancel(ctx))
	}
	return nil
}

// watchedLock knows whether the Lease was ever taken: only whoever holds it
// writes it. An elector uses its lock from one goroutine.
type watchedLock struct {
	resourcelock.Interface
	written bool
}

// Create implements resourcelock.Interface.
func (l *watchedLock) Create(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	return l.note(l.Interface.Create(ctx, r))
}

// Update implements resourcelock.Interface.
func (l *watchedLock) Update(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	return l.note(l.Interface.Update(ctx, r))
}

func (l *watchedLock) note(err error) error {
	l.written = l.written || err == nil
	return err
}

// releaseTimeout bounds the release; the Lease then runs out by itself.
const releaseTimeout = 2 * time.Second

// release gives the Lease up, so that a standby need not wait for its end.
func (e *Elector) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, releaseTimeout)
	defer cancel()
	held, _, err := e.lock.Get(ctx)
	if err == nil {
		if held.HolderIdentity != e.cfg.Identity {
			return
		}
		now := metav1.Now()
		err = e.lock.Update(ctx, resourcelock.LeaderElectionRecord{
			LeaderTransitions: held.LeaderTransitions, LeaseDurationSeconds: 1, AcquireTime: now, RenewTime: now,
		})
	}
	if err != nil {
		e.log.Warn().Err(err).Str("lease", e.cfg.Name).Msg("the lease was not released; it runs out by itself")
	}
}
