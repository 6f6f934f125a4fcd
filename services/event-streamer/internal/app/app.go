// Package app wires event-streamer: configuration, clients, start-up checks,
// and the order in which its parts end. It holds no logic of its own.
package app

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/go-logr/logr"
	"github.com/rs/zerolog"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"

	"github.com/envision/resiliency/pkg/kube"
	"github.com/envision/resiliency/pkg/service"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/event-streamer/internal/capsule"
	"github.com/envision/resiliency/services/event-streamer/internal/deliver"
	"github.com/envision/resiliency/services/event-streamer/internal/watch"
)

// parts is what every way to run is made of.
type parts struct {
	rt      *service.Runtime
	cfg     *Config
	client  kubernetes.Interface
	queue   *deliver.Queue
	watcher *watch.Watcher
	pool    *capsule.Pool // nil without capsules
}

// Run starts the service and returns; its workers go on.
func Run(ctx context.Context, rt *service.Runtime, cfg *Config) error {
	// client-go logs through klog, which is one for the process.
	klog.SetLogger(logr.FromSlogHandler(zerolog.NewSlogHandler(
		rt.Log.Level(zerolog.WarnLevel).With().Str("component", "client-go").Logger())))
	limitGarbage()
	tenants, err := cfg.tenants()
	if err != nil {
		return err
	}
	if err := cfg.resolve(namespaces(tenants)); err != nil {
		return err
	}
	p := &parts{rt: rt, cfg: cfg}
	if p.client, err = requireCluster(ctx, rt, cfg, namespaces(tenants)); err != nil {
		return err
	}
	sender, err := newSender(ctx, rt, cfg)
	if err != nil {
		return err
	}
	p.queue = deliver.New(deliver.Config{
		Workers: cfg.Workers, MaxPending: cfg.MaxPending, Stall: cfg.StallLimit, Standby: !cfg.Resync,
		// The rest is for the last save of the watermark and the Lease.
		Flush: rt.ShutdownBudget() / 2,
	}, sender, rt.Registry, rt.Log)
	mapper, err := newMapper(cfg, tenants)
	if err != nil {
		return err
	}
	if p.watcher, err = watch.New(p.client, namespaces(tenants), mapper, p.queue, rt.Registry, rt.Log); err != nil {
		return fmt.Errorf("set up the watch: %w", err)
	}
	rt.Live("deliver", p.queue.Live)
	if cfg.Resync {
		p.resync(ctx)
		return nil
	}
	if cfg.capsules() {
		if err := p.capture(ctx, namespaces(tenants), sender, mapper); err != nil {
			return err
		}
	}
	rt.Ready("watch", p.watcher.Ready)
	return p.serve(ctx)
}

// gcPercent trades CPU, and only while lists are read, for two fifths less memory:
// nearly all that a watch decodes is thrown away at once.
const gcPercent = 30

// limitGarbage sets gcPercent unless the operator has set GOGC.
func limitGarbage() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

// newMapper says who reports: beside that, both watchers say the same.
func newMapper(cfg *Config, tenants map[string]string) (*kube.Mapper, error) {
	reporter, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("find this host's name: %w", err)
	}
	source := resiliencyv1.Source_SOURCE_EVENT_STREAMER
	if cfg.Publish == publishLog {
		source = resiliencyv1.Source_SOURCE_LOG_WITNESS
	}
	return &kube.Mapper{Cluster: cfg.Cluster, Source: source, Reporter: reporter, Tenants: tenants}, nil
}

// requireCluster connects to the API server and checks that it answers and that
// this process may do what it has to.
func requireCluster(ctx context.Context, rt *service.Runtime, cfg *Config, namespaces []string) (kubernetes.Interface, error) {
	client, err := newClient(cfg.Kubeconfig, rt.Version, callsPerSecond)
	if err != nil {
		return nil, err
	}
	err = rt.Require(ctx, "kubernetes", "Check that KUBECONFIG names a cluster that can be reached.", func(ctx context.Context) error {
		return client.Discovery().RESTClient().Get().AbsPath("/version").Do(ctx).Error()
	})
	if err != nil {
		return nil, err //nolint:wrapcheck // a sentence for the operator
	}
	remedy := "Bind a Role that allows get, list and watch on jobs (batch) and list and watch on pods " +
		"in each of the namespaces to this service's account."
	err = rt.Require(ctx, "access to jobs and pods", remedy, func(ctx context.Context) error {
		return checkAccess(ctx, client, watchNeeds(namespaces))
	})
	return client, err //nolint:wrapcheck // a sentence for the operator
}
