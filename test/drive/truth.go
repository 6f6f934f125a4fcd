package drive

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// Fact is what Kubernetes itself says of one Job.
type Fact struct {
	UID string
	// State is SUCCEEDED on Complete=True, FAILED on Failed=True, CANCELLED when
	// the Job was deleted before either; empty while it goes on.
	State string
	// EndedAt is when the end was seen here.
	EndedAt time.Time
	// Running says that a pod of it was ready at some time.
	Running bool
	// Suspended says that the condition Suspended is True now.
	Suspended bool
}

// Truth watches the Jobs of one namespace with a watch of its own.
type Truth struct {
	mu    sync.Mutex
	facts map[string]Fact
	// changed is closed at the next change of a Job that somebody waits for: one
	// for each, since thousands wait at once.
	changed map[string]chan struct{}
	stop    func()
}

// Watch begins to watch a namespace. It returns once the first list is in.
func Watch(ctx context.Context, client kubernetes.Interface, namespace string) (*Truth, error) {
	ctx, cancel := context.WithCancel(ctx)
	t := &Truth{facts: map[string]Fact{}, changed: map[string]chan struct{}{}}
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace))
	informer := factory.Batch().V1().Jobs().Informer()
	registration, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { t.see(obj, false) },
		UpdateFunc: func(_, obj any) { t.see(obj, false) },
		DeleteFunc: func(obj any) { t.see(obj, true) },
	})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("watch jobs of namespace %s: %w", namespace, err)
	}
	factory.Start(ctx.Done())
	t.stop = func() { cancel(); factory.Shutdown() }
	if !cache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
		t.stop()
		return nil, fmt.Errorf("watch jobs of namespace %s: the first list did not come: %w", namespace, context.Cause(ctx))
	}
	return t, nil
}

// Stop ends the watch.
func (t *Truth) Stop() { t.stop() }

func (t *Truth) see(obj any, deleted bool) {
	if tombstone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = tombstone.Obj
	}
	j, ok := obj.(*batchv1.Job)
	if !ok {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.facts[j.Name]
	f.UID = string(j.UID)
	f.Running = f.Running || j.Status.Ready != nil && *j.Status.Ready > 0
	f.Suspended = isTrue(j, batchv1.JobSuspended)
	if f.State == "" {
		if f.State = stateOf(j, deleted); f.State != "" {
			f.EndedAt = time.Now()
		}
	}
	t.facts[j.Name] = f
	if changed, ok := t.changed[j.Name]; ok {
		close(changed)
		delete(t.changed, j.Name)
	}
}

func stateOf(j *batchv1.Job, deleted bool) string {
	switch {
	case isTrue(j, batchv1.JobComplete):
		return Succeeded
	case isTrue(j, batchv1.JobFailed):
		return Failed
	case deleted:
		return Cancelled
	default:
		return ""
	}
}

func isTrue(j *batchv1.Job, kind batchv1.JobConditionType) bool {
	for _, c := range j.Status.Conditions {
		if c.Type == kind {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// Facts returns all that is known now, by Job name.
func (t *Truth) Facts() map[string]Fact {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.facts)
}

// EndedBetween counts the Jobs whose end was seen in a span of time.
func (t *Truth) EndedBetween(from, to time.Time) int {
	n := 0
	for _, f := range t.Facts() {
		if f.State != "" && f.EndedAt.After(from) && f.EndedAt.Before(to) {
			n++
		}
	}
	return n
}

// Wait returns once what is known of the named Job satisfies done.
func (t *Truth) Wait(ctx context.Context, name string, done func(Fact) bool) error {
	for {
		f, changed := t.look(name)
		if done(f) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for job %s (now %+v): %w", name, f, context.Cause(ctx))
		}
	}
}

// look returns what is known of a Job and what is closed when that changes.
func (t *Truth) look(name string) (Fact, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	changed, ok := t.changed[name]
	if !ok {
		changed = make(chan struct{})
		t.changed[name] = changed
	}
	return t.facts[name], changed
}
