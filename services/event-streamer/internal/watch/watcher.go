package watch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/envision/resiliency/pkg/kube"
	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

// sink keeps facts until they are delivered.
type sink interface {
	Seen(uid types.UID, facts []fact.Fact)
	Also(uid types.UID, facts []fact.Fact)
	Gone(uid types.UID, judge func(context.Context) ([]fact.Fact, error))
}

const (
	// departedJobs is how many deleted Jobs are kept for what their pods still
	// say: pods go after their Job.
	departedJobs = 1024
	// stuckPods is how many Jobs may have a pod on record that was deleted while
	// it waited in vain.
	stuckPods = 1024
	// byJob is the index of pods by the UID of their Job.
	byJob = "job-uid"
)

// Watcher watches the Jobs and Pods of some namespaces.
type Watcher struct {
	client     kubernetes.Interface
	namespaces []string
	mapper     *kube.Mapper
	sink       sink
	metrics    *metrics
	log        zerolog.Logger

	jobs, pods map[string]cache.SharedIndexInformer // by namespace
	departed   *lru.Cache[types.UID, *kube.Job]
	stuck      *lru.Cache[types.UID, *kube.Pod] // by the UID of the Job

	mu         sync.Mutex
	complained map[types.UID]string // what was said of a Job's faults
}

// New returns a Watcher that does nothing before Run.
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
		jobs: map[string]cache.SharedIndexInformer{}, pods: map[string]cache.SharedIndexInformer{},
		departed: departed, stuck: stuck, complained: map[types.UID]string{},
	}
	for _, ns := range namespaces {
		if err := w.addInformers(ns); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// addInformers makes the two informers of a namespace. There is no resync: the
// informers relist by themselves when a watch breaks, and facts do not age.
func (w *Watcher) addInformers(ns string) error {
	factory := informers.NewSharedInformerFactoryWithOptions(w.client, 0,
		informers.WithNamespace(ns),
		informers.WithTransform(w.trim),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = kube.LabelJobID }),
	)
	jobs, pods := factory.Batch().V1().Jobs().Informer(), factory.Core().V1().Pods().Informer()
	w.jobs[ns], w.pods[ns] = jobs, pods
	_, errJobs := jobs.AddEventHandler(jobHandler{w})
	_, errPods := pods.AddEventHandler(podHandler{w})
	return errors.Join(
		jobs.SetWatchErrorHandlerWithContext(w.watchError("jobs", ns)),
		pods.SetWatchErrorHandlerWithContext(w.watchError("pods", ns)),
		pods.AddIndexers(cache.Indexers{byJob: indexByJob}),
		errJobs, errPods,
	)
}

// Run watches until ctx ends and returns nil once every handler has returned.
func (w *Watcher) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, ns := range w.namespaces {
		all.Go(func() { w.jobs[ns].RunWithContext(ctx) })
		all.Go(func() { w.pods[ns].RunWithContext(ctx) })
	}
	begun := time.Now()
	all.Go(func() {
		if w.waitForSync(ctx) {
			w.log.Info().Strs("namespaces", w.namespaces).Int("jobs", w.count(w.jobs)).Int("pods", w.count(w.pods)).
				Dur("took_ms", time.Since(begun)).Msg("first list is complete")
		}
	})
	all.Wait()
	return nil
}

func (w *Watcher) waitForSync(ctx context.Context) bool {
	var synced []cache.InformerSynced
	for _, ns := range w.namespaces {
		synced = append(synced, w.jobs[ns].HasSynced, w.pods[ns].HasSynced)
	}
	return cache.WaitForCacheSync(ctx.Done(), synced...)
}

func (w *Watcher) count(all map[string]cache.SharedIndexInformer) (n int) {
	for _, informer := range all {
		n += len(informer.GetStore().ListKeys())
	}
	return n
}

// Ready is an error until every namespace has been listed once.
func (w *Watcher) Ready(context.Context) error {
	for _, ns := range w.namespaces {
		if !w.jobs[ns].HasSynced() || !w.pods[ns].HasSynced() {
			return fmt.Errorf("namespace %s is not listed yet", ns)
		}
	}
	return nil
}

func indexByJob(obj any) ([]string, error) {
	if p, ok := obj.(*kube.Pod); ok && p.JobUID != "" {
		return []string{string(p.JobUID)}, nil
	}
	return nil, nil
}
