package stack

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/pubsub/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/envision/resiliency/pkg/messaging/topology"
)

// ClusterName is the value that services get for CLUSTER.
const ClusterName = "local"

// Project is a test's own corner of the stack: a GCP project, which holds its
// Firestore data and its topics, and a Kubernetes namespace.
type Project struct {
	// ID is the GCP project id.
	ID string
	// Namespace and Tenant are what its services watch, and for whom.
	Namespace, Tenant string

	stack      *Stack
	namespaces []string // all of NAMESPACES, "namespace=tenant"
	mu         sync.Mutex
	processes  []*Process
	runs       int // started so far
	sinks      []*LogSink
}

// NewProject makes a project with a fresh id (prefix, dash, eight hex digits),
// its topics and subscriptions in the local profile, and a namespace of the
// same name. The prefix has at most 20 characters of [a-z0-9-] and begins with
// a letter.
func (s *Stack) NewProject(ctx context.Context, prefix string) (*Project, error) {
	var random [4]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, fmt.Errorf("random project id: %w", err)
	}
	id := strings.ToLower(prefix) + "-" + hex.EncodeToString(random[:])
	return s.OpenProject(ctx, id, map[string]string{id: id})
}

// OpenProject makes the project with this very id, or opens it when it is
// there, with one or more namespaces bound to tenants. Its Namespace is the
// first of them in the alphabet.
func (s *Stack) OpenProject(ctx context.Context, id string, tenants map[string]string) (*Project, error) {
	p := &Project{ID: id, stack: s}
	for namespace, tenant := range tenants {
		p.namespaces = append(p.namespaces, namespace+"="+tenant)
		if err := s.createNamespace(ctx, namespace); err != nil {
			return nil, fmt.Errorf("project %s: %w", id, err)
		}
	}
	slices.Sort(p.namespaces)
	if len(p.namespaces) == 0 {
		return nil, fmt.Errorf("project %s: no namespace given", id)
	}
	p.Namespace, p.Tenant, _ = strings.Cut(p.namespaces[0], "=")
	if err := p.provision(ctx); err != nil {
		return nil, fmt.Errorf("project %s: %w", id, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.projects = append(s.projects, p)
	return p, nil
}

func (s *Stack) createNamespace(ctx context.Context, name string) error {
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	_, err := s.kube.CoreV1().Namespaces().Create(ctx, object, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create namespace %s: %w", name, err)
	}
	return nil
}

// provision creates the topics and subscriptions; again, after the emulator was
// restarted empty.
func (p *Project) provision(ctx context.Context) error {
	client, err := p.PubSub(ctx)
	if err != nil {
		return err
	}
	err = topology.Provision(ctx, client, p.ID, topology.Local)
	return errors.Join(err, client.Close())
}

// Provision creates topics and subscriptions again, as an operator does after
// they were lost (a restarted emulator is empty).
func (p *Project) Provision(ctx context.Context) error { return p.provision(ctx) }

// Env is the environment of this project's services, this process's own
// included, "NAME=value".
func (p *Project) Env() []string {
	return append(os.Environ(), p.stack.vars(p.ID).with(
		"CLUSTER", ClusterName,
		"NAMESPACES", strings.Join(p.namespaces, ","),
		// Everything listens on loopback, where everybody on this machine may call.
		"AUTH", "none",
		// Ctrl-C must end everything within ten seconds.
		"SHUTDOWN_BUDGET", "5s",
		"GORACE", "halt_on_error=1",
	).environ()...)
}

// SlackChannel is the id of the channel that the project's notices go to: its
// own, so that projects which share the stand-in do not see each other's.
func (p *Project) SlackChannel() string { return slackChannel(p.ID) }

// slackChannel has the form of an id, for only by its id is a channel searched.
func slackChannel(projectID string) string {
	sum := sha256.Sum256([]byte(projectID))
	return "C" + strings.ToUpper(hex.EncodeToString(sum[:5]))
}

// Firestore returns a client of this project, through the proxy; the caller
// closes it.
func (p *Project) Firestore(ctx context.Context) (*firestore.Client, error) {
	client, err := firestore.NewClient(ctx, p.ID, emulatorOptions(p.stack.Firestore.Addr())...)
	if err != nil {
		return nil, fmt.Errorf("Firestore client of project %s: %w", p.ID, err)
	}
	return client, nil
}

// PubSub returns a client of this project, through the proxy; the caller closes it.
func (p *Project) PubSub(ctx context.Context) (*pubsub.Client, error) {
	client, err := pubsub.NewClient(ctx, p.ID, emulatorOptions(p.stack.PubSub.Addr())...)
	if err != nil {
		return nil, fmt.Errorf("Pub/Sub client of project %s: %w", p.ID, err)
	}
	return client, nil
}

// Close stops the project's services, politely, and then its log sinks. Its
// data and its namespace stay until the stack stops.
func (p *Project) Close(ctx context.Context) error {
	p.mu.Lock()
	processes, sinks := p.processes, p.sinks
	p.mu.Unlock()
	errs := make([]error, len(processes)+len(sinks))
	var all sync.WaitGroup
	for i, process := range processes {
		all.Go(func() { errs[i] = process.Stop(ctx) })
	}
	all.Wait()
	for i, sink := range sinks {
		errs[len(processes)+i] = sink.Stop()
	}
	return errors.Join(errs...)
}

// Processes are the services started so far, in that order.
func (p *Project) Processes() []*Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.processes)
}
