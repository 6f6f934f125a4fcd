package cluster

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"k8s.io/client-go/kubernetes"

	"github.com/envision/resiliency/pkg/kube"
	"github.com/envision/resiliency/services/recovery-job/internal/judge"
)

// Config of a Prober. Zero durations and sizes take the defaults.
type Config struct {
	// Timeout bounds one call of a question, its wait for its turn included; 20 s by
	// default. A question makes two for each namespace and two more.
	Timeout time.Duration
	// ListTimeout bounds the list of one namespace; 2 min by default.
	ListTimeout time.Duration
	// ListPause is the time before a list that failed is tried again, 2 s by default,
	// and ListAgain after how long that is done once more when it failed listRounds
	// times; 1 min by default.
	ListPause, ListAgain time.Duration
	// ListFrom is how many questions make a list worth its while; 20 by default.
	ListFrom int
	// PageSize is how many objects one call of a list returns; 500 by default.
	PageSize int64
}

func (c Config) withDefaults() Config {
	if c.Timeout <= 0 {
		c.Timeout = 20 * time.Second
	}
	if c.ListTimeout <= 0 {
		c.ListTimeout = 2 * time.Minute
	}
	if c.ListPause <= 0 {
		c.ListPause = 2 * time.Second
	}
	if c.ListAgain <= 0 {
		c.ListAgain = time.Minute
	}
	if c.ListFrom <= 0 {
		c.ListFrom = 20
	}
	if c.PageSize <= 0 {
		c.PageSize = 500
	}
	return c
}

// Prober asks one cluster. It is safe for concurrent use.
type Prober struct {
	client     kubernetes.Interface
	namespaces []string
	mapper     *kube.Mapper
	cfg        Config
	now        func() time.Time
	log        zerolog.Logger
	list       atomic.Pointer[list]
	// listing is held by whoever makes the list.
	listing sync.Mutex
}

// New returns a Prober. The mapper names the cluster, and its tenants are the
// allow-list of namespaces.
func New(client kubernetes.Interface, mapper *kube.Mapper, cfg Config, now func() time.Time, log zerolog.Logger) *Prober {
	return &Prober{
		client: client, namespaces: slices.Sorted(maps.Keys(mapper.Tenants)), mapper: mapper,
		cfg: cfg.withDefaults(), now: now, log: log,
	}
}

// listRounds is how often a list is tried before the questions that it is for fail.
const listRounds = 3

// Prepare makes the list that later questions are answered from, if that many
// questions are worth one and there is none. A namespace that cannot be listed is
// tried again; then every answer from the list is a failed one, until a call after
// Config.ListAgain has more luck. A list that failed is stored only when it is not
// tried again at once: whoever asks before then waits for what comes of it.
func (p *Prober) Prepare(ctx context.Context, questions int) {
	if questions < p.cfg.ListFrom || p.listed() {
		return
	}
	p.listing.Lock()
	defer p.listing.Unlock()
	if p.listed() {
		return
	}
	for round := 1; ; round++ {
		l := p.listAll(ctx)
		if l.err == nil || round == listRounds || !pause(ctx, p.cfg.ListPause) {
			l.again = p.now().Add(p.cfg.ListAgain)
			p.list.Store(l)
			return
		}
	}
}

// listed reports whether there is a list that holds for now, be it a failed one.
func (p *Prober) listed() bool { return p.holds(p.list.Load()) }

func (p *Prober) holds(l *list) bool {
	return l != nil && (l.err == nil || p.now().Before(l.again))
}

// pause waits; false when ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Cluster answers what the cluster shows of a job. Each of its calls keeps its own
// deadline.
func (p *Prober) Cluster(ctx context.Context, q judge.ClusterQuery) judge.Cluster {
	if q.Namespace != "" && !slices.Contains(p.namespaces, q.Namespace) {
		return outside(q.Namespace)
	}
	if l := p.list.Load(); l != nil && !q.Live {
		return p.fromList(l, &q)
	}
	at := p.now()
	view, err := p.look(ctx, &q)
	if err != nil {
		return failed(err)
	}
	answer := p.answer(view, q.JobID)
	answer.At, answer.Live = at, true
	return answer
}

func (p *Prober) fromList(l *list, q *judge.ClusterQuery) judge.Cluster {
	if l.err != nil {
		return failed(l.err)
	}
	answer := p.answer(l.of(q), q.JobID)
	answer.At = l.at
	return answer
}

// view is what is known of one job in the cluster.
type view struct {
	jobs []*object
	// pods have not ended.
	pods []*pod
	// blocked says why the controller cannot make pods, by the UID of the Job.
	blocked map[string]string
}

// answer reads a view.
func (p *Prober) answer(v *view, jobID string) judge.Cluster {
	c := judge.Cluster{Probe: judge.Answered}
	known := map[string]bool{}
	for _, o := range v.jobs {
		known[string(o.UID)] = true
		var own []*pod
		for _, pod := range v.pods {
			if pod.JobUID == o.UID {
				own = append(own, pod)
			}
		}
		c.Jobs = append(c.Jobs, p.found(o, own, v.blocked[string(o.UID)], jobID))
	}
	for _, pod := range v.pods {
		if !known[string(pod.JobUID)] {
			c.Pods = append(c.Pods, pod.Namespace+"/"+pod.Name)
		}
	}
	slices.Sort(c.Pods)
	return c
}
