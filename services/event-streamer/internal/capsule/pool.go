package capsule

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/kube"
	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

// Cluster is asked for what a failed pod has left. Its errors are those of the
// API server.
type Cluster interface {
	Pod(ctx context.Context, namespace, name string) (*corev1.Pod, error)
	// Log opens the last lines of a container's log, or of its run before the
	// last restart. Reading ends when ctx does.
	Log(ctx context.Context, namespace, pod, container string, previous bool, lines int64) (io.ReadCloser, error)
	// Events returns up to limit Events about an object, or only its warnings.
	Events(ctx context.Context, namespace string, uid types.UID, warnings bool, limit int64) ([]corev1.Event, error)
}

// Store keeps what is too large for an event.
type Store interface {
	// Put writes an object and returns its URI.
	Put(ctx context.Context, object string, data []byte) (uri string, err error)
}

// Sender publishes facts: nil for each that is confirmed, a permanent error for
// one that is refused for good.
type Sender interface {
	Send(ctx context.Context, facts []fact.Fact) []error
}

// Mapper says who a Job's claims are about.
type Mapper interface {
	Head(j *kube.Job) (job.Observation, error)
}

// Config tunes a Pool. Zero values take the defaults.
type Config struct {
	// Workers is how many capsules are taken at once; 4 by default.
	Workers int
	// Timeout bounds what a capsule asks the cluster for; 10 s by default. One log
	// may take half of it.
	Timeout time.Duration
	// Queue is how many Jobs may wait; 512 by default. When there are more, the
	// one that has waited longest is dropped: its pod is the likeliest to be gone.
	Queue int
	// Recent is how long ago a pod may have failed; 10 min by default. What failed
	// before was seen by this process or the one before it.
	Recent time.Duration
	// Handover is for how long what was seen on standby may still be missing when
	// this process begins to lead; 1 min by default.
	Handover time.Duration
	// Flush is how long Run goes on after its context has ended; 5 s by default.
	Flush time.Duration
}

func (c Config) withDefaults() Config {
	or := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	if c.Workers <= 0 {
		c.Workers = 4
	}
	if c.Queue <= 0 {
		c.Queue = 512
	}
	or(&c.Timeout, 10*time.Second)
	or(&c.Recent, 10*time.Minute)
	or(&c.Handover, time.Minute)
	or(&c.Flush, 5*time.Second)
	return c
}

const (
	// rememberedJobs is how many Jobs are remembered, so that none is taken twice.
	rememberedJobs = 5000
	// silentNodes is how many nodes are remembered that did not answer, and
	// silentFor how long they are not asked again.
	silentNodes, silentFor = 1000, 15 * time.Second
	// unsent is how many capsules wait for Pub/Sub, 64 KiB each at most.
	unsent = 64
)

// Pool takes capsules. It is safe for use by many goroutines.
type Pool struct {
	cfg     Config
	cluster Cluster
	store   Store // nil for none
	sender  Sender
	mapper  Mapper
	metrics *metrics
	log     zerolog.Logger

	// redacting is held by who redacts: a wave of failures takes one core at most
	// from those who publish statuses.
	redacting sync.Mutex
	due       chan types.UID
	taken     chan fact.Fact
	silent    *lru.Cache[string, time.Time] // nodes, and until when they are left alone

	mu       sync.Mutex
	dossiers *lru.Cache[types.UID, *dossier]
	leads    bool
	lead     chan struct{} // closed while leads
	since    time.Time     // when it began to lead
	dropped  int           // since it was last logged
	told     time.Time     // when it was
}

// New returns a Pool that takes nothing before Run and Lead. Without a store,
// capsules are cut to the size of an event.
func New(
	cfg Config, cluster Cluster, store Store, sender Sender, mapper Mapper,
	reg prometheus.Registerer, log zerolog.Logger,
) (*Pool, error) {
	cfg = cfg.withDefaults()
	dossiers, err := lru.New[types.UID, *dossier](rememberedJobs)
	if err != nil {
		return nil, fmt.Errorf("make the cache of failed jobs: %w", err)
	}
	silent, err := lru.New[string, time.Time](silentNodes)
	if err != nil {
		return nil, fmt.Errorf("make the cache of silent nodes: %w", err)
	}
	return &Pool{
		cfg: cfg, cluster: cluster, store: store, sender: sender, mapper: mapper,
		metrics: newMetrics(reg), log: log.With().Str("component", "capsule").Logger(),
		due: make(chan types.UID, cfg.Queue), taken: make(chan fact.Fact, unsent),
		silent: silent, dossiers: dossiers, lead: make(chan struct{}),
	}, nil
}

// Lead makes the pool take capsules, and Stand makes it stop.
func (p *Pool) Lead() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.leads {
		p.leads, p.since = true, time.Now()
		close(p.lead)
	}
}

// Stand makes the pool keep what it hears of and take nothing. What it has in
// hand is still taken: the next leader gives it the same id.
func (p *Pool) Stand() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.leads {
		p.leads, p.lead = false, make(chan struct{})
	}
}
