package watch

import (
	"context"
	"fmt"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/envision/resiliency/pkg/kube"
	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

// sink keeps facts until they are delivered, and knows how far each stream was
// handed over.
type sink interface {
	Seen(uid types.UID, facts []fact.Fact, mark fact.Mark)
	Also(uid types.UID, facts []fact.Fact, marks ...fact.Mark)
	Gone(uid types.UID, judge func(context.Context) ([]fact.Fact, error), mark fact.Mark)
	// Stored is the level of a stream in the watermark as it was read last.
	Stored(s fact.Stream) uint64
	Listed(s fact.Stream, version, stored uint64)
	Reached(s fact.Stream, version uint64)
}

// capturer saves what failed pods leave behind. None of its methods waits.
type capturer interface {
	PodSeen(p *kube.Pod, owner *kube.Job, deleted bool)
	JobSeen(j *kube.Job)
	JobGone(j *kube.Job)
}

const (
	// departedJobs is how many deleted Jobs are kept for what their pods still
	// say: pods go after their Job.
	departedJobs = 1024
	// stuckPods is how many Jobs may have a pod on record that was deleted while
	// it waited in vain.
	stuckPods = 1024
)

// Watcher watches the Jobs and Pods of some namespaces.
type Watcher struct {
	client     kubernetes.Interface
	namespaces []string
	mapper     *kube.Mapper
	sink       sink
	capturer   capturer // nil for none
	metrics    *metrics
	log        zerolog.Logger

	jobs     map[string]*feed[*kube.Job] // by namespace
	pods     map[string]*feed[*kube.Pod]
	departed *lru.Cache[types.UID, *kube.Job]
	stuck    *lru.Cache[types.UID, *kube.Pod] // by the UID of the Job

	mu         sync.Mutex
	complained map[types.UID]string // what was said of a Job's faults
}

// New returns a Watcher that does nothing before Run or Once.
func New(
	client kubernetes.Interface, namespaces []string, mapper *kube.Mapper, sink sink,
	reg prometheus.Registerer, log zerolog.Logger,
) (*Watcher, error) {
	departed, err := lru.New[types.UID, *kube.Job](departedJobs)
	if err != nil {
		return nil, fmt.Errorf("make the cache of deleted jobs: %w", err)
	}
	stuck, err := lru.New[types.UID, *kube.Pod](stuckPods)
	if err != nil {
		return nil, fmt.Errorf("make the cache of stuck pods: %w", err)
	}
	w := &Watcher{
		client: client, namespaces: namespaces, mapper: mapper, sink: sink, metrics: newMetrics(reg), log: log,
		jobs: map[string]*feed[*kube.Job]{}, pods: map[string]*feed[*kube.Pod]{},
		departed: departed, stuck: stuck, complained: map[types.UID]string{},
	}
	waiting := newBacklog(maxBacklog, w.metrics.waiting)
	for _, ns := range namespaces {
		w.jobs[ns] = newFeed(stream(resourceJobs, ns), waiting, w.readJob, nil)
		w.pods[ns] = newFeed(stream(resourcePods, ns), waiting, w.readPod, jobOf)
	}
	return w, nil
}

// Capture tells c of failing pods and Jobs as well. Call it before Run.
func (w *Watcher) Capture(c capturer) { w.capturer = c }

func stream(resource, ns string) fact.Stream { return fact.Stream(resource + "." + ns) }

// Run watches until ctx ends and returns nil once all that was seen is handed
// over.
func (w *Watcher) Run(ctx context.Context) error {
	var reflectors, feeds sync.WaitGroup
	stopped := make(chan struct{})
	begun := time.Now()
	for _, ns := range w.namespaces {
		jobs, pods := w.jobs[ns], w.pods[ns]
		feeds.Go(func() { jobs.run(stopped, func(c change[*kube.Job]) { hand(w, resourceJobs, c, w.jobChanged) }) })
		feeds.Go(func() { pods.run(stopped, func(c change[*kube.Pod]) { hand(w, resourcePods, c, w.podChanged) }) })
		reflectors.Go(func() { w.reflect(ctx, resourceJobs, ns, w.jobLists(ns), &batchv1.Job{}, jobs) })
		reflectors.Go(func() {
			// A pod that has ended is kept only until its Job is known: with the
			// Jobs first, a cluster full of ended pods takes no room.
			if await(ctx, jobs.synced) {
				w.reflect(ctx, resourcePods, ns, w.podLists(ns), &corev1.Pod{}, pods)
			}
		})
	}
	reflectors.Go(func() {
		if w.waitForSync(ctx) {
			w.log.Info().Strs("namespaces", w.namespaces).Int("jobs", count(w.jobs)).Int("pods", count(w.pods)).
				Dur("took_ms", time.Since(begun)).Msg("first list is complete")
		}
	})
	reflectors.Wait()
	close(stopped)
	feeds.Wait()
	return nil
}

// hand reads one change and then says how far its stream has come. The order
// matters: what is said to be reached must be in the sink.
func hand[T object](w *Watcher, resource string, c change[T], read func(change[T])) {
	switch c.kind {
	case listing:
		w.sink.Listed(c.mark.Stream, c.mark.To, c.stored)
		return
	case listed:
		w.sink.Reached(c.mark.Stream, c.mark.To)
		return
	}
	w.guard(resource, c.subject(), func() {
		w.metrics.event(resource)
		read(c)
	})
	if c.live && c.mark.From == c.mark.To {
		w.sink.Reached(c.mark.Stream, c.mark.To)
	}
}

func (w *Watcher) waitForSync(ctx context.Context) bool {
	for _, ns := range w.namespaces {
		if !await(ctx, w.jobs[ns].synced) || !await(ctx, w.pods[ns].synced) {
			return false
		}
	}
	return true
}

func await(ctx context.Context, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

func count[T object](feeds map[string]*feed[T]) (n int) {
	for _, f := range feeds {
		n += f.len()
	}
	return n
}

// Ready is an error until every namespace has been listed once.
func (w *Watcher) Ready(context.Context) error {
	for _, ns := range w.namespaces {
		if !w.jobs[ns].hasSynced() || !w.pods[ns].hasSynced() {
			return fmt.Errorf("namespace %s is not listed yet", ns)
		}
	}
	return nil
}
