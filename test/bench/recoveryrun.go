package bench

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/test/stack"
)

// recoveryRules makes evidence count that came about just now.
const recoveryRules = `version: 1
rules:
  - name: kubernetes
    match:
      stage: kubernetes
    silent_for: 1s
    do: fail
    hard_limit: 24h
    output:
      expect: marker
      settle: 1s
`

const (
	// recoveryPatience bounds one run.
	recoveryPatience = 10 * time.Minute
	// peakEvery is the time between two looks at a process's memory; the kernel
	// keeps the peak.
	peakEvery = 20 * time.Millisecond
)

// recoveryRunner makes runs of recovery-job against a project.
type recoveryRunner struct {
	project    *stack.Project
	bin, rules string
	kube       *countedKube
	// log is that of the last run.
	log string
}

func newRecoveryRunner(s *stack.Stack, p *stack.Project, bin string) (*recoveryRunner, error) {
	r := &recoveryRunner{project: p, bin: bin, rules: filepath.Join(s.Dir(), p.ID+"-rules.yaml")}
	if err := os.WriteFile(r.rules, []byte(recoveryRules), 0o644); err != nil {
		return nil, fmt.Errorf("write the rules: %w", err)
	}
	var err error
	r.kube, err = countKube(s.Kubeconfig(), filepath.Join(s.Dir(), p.ID+"-kubeconfig"))
	return r, err
}

func (r *recoveryRunner) close() { r.kube.server.Close() }

// run makes one run and returns what it took, but for Firestore's part.
func (r *recoveryRunner) run(ctx context.Context) (cost recoveryCost, err error) {
	if err := r.beat(ctx); err != nil {
		return cost, err
	}
	ctx, cancel := context.WithTimeout(ctx, recoveryPatience)
	defer cancel()
	lists, asks := r.kube.lists.Load(), r.kube.asks.Load()
	begun := time.Now()
	spec := stack.RecoveryJob(r.bin)
	spec.Args = []string{"run"}
	spec.Env = []string{
		"RULES=" + r.rules, "KUBECONFIG=" + r.kube.config,
		// The emulator has no indexes: a query looks at every record, and one for
		// thirty ids thirty times. So nobody looks for Jobs without a record here,
		// which in production is one read for thirty Jobs.
		"FIRESTORE_TIMEOUT=1m", "MISSING_AFTER=24h",
	}
	run, err := r.project.StartRun(spec)
	if err != nil {
		return cost, err
	}
	r.log = run.LogPath()
	cost.peakMiB = follow(ctx, run)
	ended, err := run.Wait(ctx)
	cost.seconds = time.Since(begun).Seconds()
	if err != nil {
		return cost, err
	}
	if ended.ExitCode != 0 {
		return cost, fmt.Errorf("recovery-job ended with code %d; log: %s", ended.ExitCode, r.log)
	}
	cost.lists, cost.asks = r.kube.lists.Load()-lists, r.kube.asks.Load()-asks
	return cost, nil
}

// follow watches the memory of a run until its end, and returns the peak.
func follow(ctx context.Context, run *stack.Run) (peakMiB float64) {
	ticker := time.NewTicker(peakEvery)
	defer ticker.Stop()
	for {
		// One that is about to end has no memory any more.
		if peak, _, err := usage(run.PID()); err == nil {
			peakMiB = max(peakMiB, peak)
		}
		select {
		case <-run.Exited():
			return peakMiB
		case <-ticker.C:
		case <-ctx.Done():
			return peakMiB
		}
	}
}

// beat says that status-updater is well, which is not started here: else nothing
// would be concluded from silence.
func (r *recoveryRunner) beat(ctx context.Context) (err error) {
	client, err := r.project.Firestore(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	return jobstore.New(client).Beat(ctx, jobstore.Heartbeat{
		Service: "status-updater", Instance: "bench", At: time.Now(), Every: time.Minute, Receiving: true,
	})
}

// countedKube is the API server behind a proxy that counts.
type countedKube struct {
	// config is the path of a kubeconfig that leads here.
	config string
	server *httptest.Server
	// lists are lists of all labelled Jobs of a namespace, asks questions about
	// single jobs. What comes with a list (its pages, pods and Events) counts as
	// neither.
	lists, asks atomic.Int64
}

// countKube puts a proxy before the API server of a kubeconfig and writes one that
// leads there.
func countKube(kubeconfig, path string) (*countedKube, error) {
	direct, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read the cluster's kubeconfig: %w", err)
	}
	transport, err := rest.TransportFor(direct)
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	target, err := url.Parse(direct.Host)
	if err != nil {
		return nil, fmt.Errorf("read the address of the API server: %w", err)
	}
	k := &countedKube{config: path}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: transport}
	k.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k.count(r.URL)
		forward.ServeHTTP(w, r)
	}))
	config := api.NewConfig()
	config.Clusters["counted"] = &api.Cluster{Server: k.server.URL}
	config.Contexts["counted"] = &api.Context{Cluster: "counted"}
	config.CurrentContext = "counted"
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		k.server.Close()
		return nil, fmt.Errorf("write a kubeconfig: %w", err)
	}
	return k, nil
}

// count tells a list of all Jobs from a question about one.
func (k *countedKube) count(u *url.URL) {
	query, jobs := u.Query(), strings.HasSuffix(u.Path, "/jobs")
	selector := query.Get("labelSelector")
	switch {
	case jobs && selector == stack.LabelJobID && query.Get("continue") == "":
		k.lists.Add(1)
	case strings.Contains(selector, "="), strings.Contains(query.Get("fieldSelector"), "uid"), strings.Contains(u.Path, "/jobs/"):
		k.asks.Add(1)
	}
}
