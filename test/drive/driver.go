package drive

import (
	"context"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/envision/resiliency/test/stack"
)

// Plan is what a Driver plays.
type Plan struct {
	// Namespace in which the Jobs are created.
	Namespace string
	// Prefix begins every Job's name, so that several plans can share a namespace.
	Prefix    string
	Scenarios []Scenario
	// PerSecond is how many Jobs are created in a second; 0 means as fast as it goes.
	PerSecond float64
}

// Driver plays one plan.
type Driver struct {
	client  kubernetes.Interface
	plan    Plan
	jobs    []planned
	truth   *Truth
	created atomic.Int64
}

// New prepares a plan and begins to watch its namespace.
func New(ctx context.Context, client kubernetes.Interface, plan Plan) (*Driver, error) {
	truth, err := Watch(ctx, client, plan.Namespace)
	if err != nil {
		return nil, err
	}
	return &Driver{client: client, plan: plan, jobs: interleave(plan.Prefix, plan.Scenarios), truth: truth}, nil
}

// Close ends the watch.
func (d *Driver) Close() { d.truth.Stop() }

// Truth is what Kubernetes says.
func (d *Driver) Truth() *Truth { return d.truth }

// Jobs is how many Jobs the plan has.
func (d *Driver) Jobs() int { return len(d.jobs) }

// InKubernetes is how many of them come to be there.
func (d *Driver) InKubernetes() int {
	n := 0
	for _, p := range d.jobs {
		if !p.scenario.Stays {
			n++
		}
	}
	return n
}

// Names are the names of a scenario's Jobs.
func (d *Driver) Names(scenario string) []string {
	var names []string
	for _, p := range d.jobs {
		if p.scenario.Name == scenario {
			names = append(names, p.name)
		}
	}
	return names
}

// Unsuspend lets a Job go on that was created suspended.
func (d *Driver) Unsuspend(ctx context.Context, name string) error {
	return d.actor().suspend(ctx, name, false)
}

func (d *Driver) actor() *Actor {
	return &Actor{client: d.client, namespace: d.plan.Namespace, truth: d.truth}
}

// Created is how many of them exist by now.
func (d *Driver) Created() int { return int(d.created.Load()) }

// Play creates all Jobs at the plan's pace, acts on those of acting scenarios,
// and returns once each has ended.
func (d *Driver) Play(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	limit := rate.Inf
	if d.plan.PerSecond > 0 {
		limit = rate.Limit(d.plan.PerSecond)
	}
	pace := rate.NewLimiter(limit, 1)
	actor := d.actor()
	for _, p := range d.jobs {
		if err := pace.Wait(ctx); err != nil {
			break // the group's own error says why
		}
		if err := d.create(ctx, p); err != nil {
			group.Go(func() error { return err })
			break
		}
		group.Go(func() error { return d.follow(ctx, actor, p) })
	}
	return group.Wait()
}

func (d *Driver) create(ctx context.Context, p planned) error {
	if p.scenario.Begin != nil {
		if err := p.scenario.Begin(ctx, p.name); err != nil {
			return fmt.Errorf("begin job %s: %w", p.name, err)
		}
		d.created.Add(1)
		return nil
	}
	spec := p.scenario.Spec
	spec.Namespace, spec.Name, spec.JobID = d.plan.Namespace, p.name, p.name
	if p.scenario.Vary != nil {
		p.scenario.Vary(&spec)
	}
	if _, err := d.client.BatchV1().Jobs(spec.Namespace).Create(ctx, stack.Job(spec), metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create job %s/%s: %w", spec.Namespace, spec.Name, err)
	}
	d.created.Add(1)
	return nil
}

// follow acts on one Job once it runs and waits for its end.
func (d *Driver) follow(ctx context.Context, actor *Actor, p planned) error {
	if p.scenario.Stays {
		return nil
	}
	if p.scenario.Act != nil {
		if err := d.truth.Wait(ctx, p.name, func(f Fact) bool { return f.Running || f.State != "" }); err != nil {
			return err
		}
		if err := p.scenario.Act(ctx, actor, p.name); err != nil {
			return err
		}
	}
	return d.truth.Wait(ctx, p.name, func(f Fact) bool { return f.State != "" })
}
