package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"

	"github.com/envision/resiliency/test/stack/proc"
	"github.com/envision/resiliency/test/stack/progress"
	"github.com/envision/resiliency/test/stack/proxy"
	"github.com/envision/resiliency/test/stack/slackfake"
)

// Options choose where and how big a stack is.
type Options struct {
	// Dir is the run directory; required. `make up` uses .run, the demo
	// .run/demo, the tests .run/test.
	Dir string
	// ToolsDir holds the programs that `make tools` builds; required.
	ToolsDir string
	// Out takes the progress; nil discards it.
	Out io.Writer
	// Nodes is the number of simulated nodes; 0 means 3. Each takes 100,000 pods.
	Nodes int
}

// Stack is a running stack. Its methods may be called from several goroutines.
type Stack struct {
	// Firestore and PubSub are the proxies before the emulators: faults and counts.
	Firestore, PubSub *proxy.Proxy
	// GCS and Slack stand in for the real ones.
	GCS   *GCS
	Slack *slackfake.Server

	dir, tools string
	mark       proc.Mark
	lock       *proc.Lock
	guard      *proc.Guard
	spawner    *proc.Spawner
	out        *progress.Printer
	ports      ports
	cluster    *cluster
	kube       kubernetes.Interface
	version    string
	parts      map[string]Part
	partsMu    sync.Mutex

	mu       sync.Mutex
	projects []*Project
	stopOnce sync.Once
	stopErr  error
}

// Start starts everything and returns when it answers, in 5 to 15 seconds. What
// an earlier run in the same directory left behind is ended first. On an error
// nothing is left running. Cancelling ctx ends the start, not the stack.
func Start(ctx context.Context, opts Options) (*Stack, error) {
	s, err := prepare(opts)
	if err != nil {
		return nil, err
	}
	if err := s.start(ctx, opts); err != nil {
		if cause := ctx.Err(); cause != nil {
			err = fmt.Errorf("start of the stack was interrupted: %w", cause)
		}
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// prepare takes the run directory and clears it of an earlier run.
func prepare(opts Options) (*Stack, error) {
	if opts.Dir == "" || opts.ToolsDir == "" {
		return nil, errors.New("options of the stack: Dir and ToolsDir are required")
	}
	tools, err := filepath.Abs(opts.ToolsDir)
	if err != nil {
		return nil, fmt.Errorf("resolve tools folder %s: %w", opts.ToolsDir, err)
	}
	lock, err := proc.Acquire(opts.Dir)
	if err != nil {
		return nil, err
	}
	mark, err := proc.NewMark(opts.Dir)
	if err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	s := &Stack{
		dir: mark.Dir(), tools: tools, mark: mark, lock: lock, out: progress.New(opts.Out),
		cluster: &cluster{mark: mark, tools: tools}, parts: map[string]Part{},
	}
	s.cluster.ports = &s.ports
	if err := s.clean(); err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	if s.guard, err = proc.StartGuard(mark); err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	s.spawner = proc.NewSpawner()
	return s, nil
}

// clean ends what a crashed run left and removes its traces. Logs begin anew,
// so that what they hold is of this run.
func (s *Stack) clean() error {
	killed, err := s.mark.Sweep(5 * time.Second)
	if err != nil {
		return fmt.Errorf("end what an earlier run left: %w", err)
	}
	if killed > 0 {
		s.out.Printf("  ended %d processes that an earlier run left", killed)
	}
	if err := os.RemoveAll(filepath.Join(s.dir, "pids")); err != nil {
		return fmt.Errorf("remove stale pid files: %w", err)
	}
	return s.cleanLogs()
}

func (s *Stack) cleanLogs() error {
	var logs []string
	for _, pattern := range []string{"*.log", "*" + outSuffix} {
		found, err := filepath.Glob(filepath.Join(s.dir, "logs", pattern))
		if err != nil {
			return fmt.Errorf("list logs: %w", err)
		}
		logs = append(logs, found...)
	}
	for _, log := range logs {
		if filepath.Base(log) == rigLog {
			continue
		}
		if err := os.Remove(log); err != nil {
			return fmt.Errorf("remove an earlier log: %w", err)
		}
	}
	if err := os.MkdirAll(filepath.Join(s.dir, "logs"), 0o755); err != nil {
		return fmt.Errorf("create log folder: %w", err)
	}
	return nil
}

// rigLog is the log of the program that runs this stack in the background; it
// is open while the stack cleans up.
const rigLog = "rig.log"

func (s *Stack) start(ctx context.Context, opts Options) error {
	if err := s.cluster.checkTools(); err != nil {
		return err
	}
	launcher, err := s.newLauncher(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.startCluster(ctx, max(opts.Nodes, 0)) })
	group.Go(func() error { return s.startEmulator(ctx, launcher, firestoreKind, &s.Firestore) })
	group.Go(func() error { return s.startEmulator(ctx, launcher, pubsubKind, &s.PubSub) })
	group.Go(s.startStandIns)
	return group.Wait()
}

func (s *Stack) startCluster(ctx context.Context, nodes int) error {
	if nodes == 0 {
		nodes = 3
	}
	step := progress.Step{Name: "Kubernetes control plane", Usual: 6 * time.Second, Log: s.cluster.kwokctlLog()}
	return s.out.Do(step, func() error {
		if err := s.cluster.create(ctx); err != nil {
			return err
		}
		for _, name := range components {
			s.addPart(&component{cluster: s.cluster, name: name})
		}
		if err := s.cluster.publish(); err != nil {
			return err
		}
		client, err := s.cluster.client()
		if err != nil {
			return err
		}
		info, err := client.Discovery().ServerVersion()
		if err != nil {
			return fmt.Errorf("ask the API server for its version: %w", err)
		}
		s.kube, s.version = client, info.GitVersion
		return createNodes(ctx, client, nodes)
	})
}

func (s *Stack) startEmulator(ctx context.Context, l *launcher, kind emulatorKind, to **proxy.Proxy) error {
	step := progress.Step{Name: "emulator " + kind.part, Usual: 7 * time.Second, Log: proc.LogPath(s.dir, kind.part)}
	return s.out.Do(step, func() error {
		e, err := l.start(ctx, kind)
		if e != nil {
			s.addPart(e.Part)
		}
		if err != nil {
			return err
		}
		port, err := s.ports.next()
		if err != nil {
			return err
		}
		listener, err := net.Listen("tcp", loopback(port))
		if err != nil {
			return fmt.Errorf("listen for the %s proxy: %w", kind.part, err)
		}
		*to, err = proxy.Start(listener, e.addr)
		return err
	})
}

func (s *Stack) startStandIns() error {
	gcs, err := startGCS(filepath.Join(s.dir, "logs", "gcs.log"), &s.ports)
	if err != nil {
		return err
	}
	s.GCS = gcs
	s.Slack = slackfake.Start()
	return nil
}

func (s *Stack) addPart(part Part) {
	s.partsMu.Lock()
	defer s.partsMu.Unlock()
	s.parts[part.Name()] = part
}

// ServerVersion is the API server's version, "v1.36.3".
func (s *Stack) ServerVersion() string { return s.version }

// Dir is the run directory, absolute.
func (s *Stack) Dir() string { return s.dir }

// Kubeconfig is the path of a kubeconfig with all rights on the cluster.
func (s *Stack) Kubeconfig() string { return s.cluster.kubeconfig() }

// Kube is a client of the cluster with all rights and no rate limit.
func (s *Stack) Kube() kubernetes.Interface { return s.kube }
