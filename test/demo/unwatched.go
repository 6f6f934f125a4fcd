package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/envision/resiliency/test/drive"
	"github.com/envision/resiliency/test/stack"
)

// The scenarios of jobs that end while nobody watches, and that Kubernetes has
// forgotten when somebody looks.
const (
	// unseen are jobs that succeeded: their marker in the bucket tells.
	unseen = "unseen"
	// forgotten are jobs that failed: they have left nothing.
	forgotten = "forgotten"
)

// unwatched plays those jobs, after everything else.
type unwatched struct {
	stack    *stack.Stack
	project  *stack.Project
	sink     *stack.LogSink
	recovery *recovery
	driver   *drive.Driver
}

func newUnwatched(ctx context.Context, s *stack.Stack, p *stack.Project, sink *stack.LogSink, r *recovery) (*unwatched, error) {
	// They wait in a queue until nobody watches any more.
	spec := stack.JobSpec{Suspended: true, TTL: time.Second}
	failing := spec
	failing.Outcome = stack.OutcomeExit
	vary := func(spec *stack.JobSpec) { spec.OutputURI = "gs://" + stack.OutputBucket + "/" + place(spec.Name) }
	driver, err := drive.New(ctx, s.Kube(), drive.Plan{Namespace: p.Namespace, Prefix: prefix, Scenarios: []drive.Scenario{
		{Name: unseen, Jobs: stuckJobs, Expected: drive.Succeeded, Evidence: "OUTPUT", Spec: spec, Vary: vary},
		{Name: forgotten, Jobs: stuckJobs, Expected: drive.Failed, Cause: "LOST", Evidence: "ABSENCE", Spec: failing, Vary: vary},
	}})
	if err != nil {
		return nil, err
	}
	return &unwatched{stack: s, project: p, sink: sink, recovery: r, driver: driver}, nil
}

// place is where a job writes, in the output bucket.
func place(name string) string { return prefix + "/" + name + "/" }

// play has the jobs end and be forgotten, and recovery-job find out; it returns
// the comparison of their records with the truth.
func (u *unwatched) play(ctx context.Context) (report *drive.Report, err error) {
	var group errgroup.Group
	ctx, cancel := context.WithCancel(ctx)
	group.Go(func() error { return u.driver.Play(ctx) })
	err = u.loseSight(ctx)
	if err != nil {
		cancel() // the Jobs would wait in their queue for ever
	}
	err = errors.Join(err, group.Wait())
	defer cancel()
	if err != nil {
		return nil, err
	}
	if err := await(ctx, "Kubernetes to forget the Jobs", 200*time.Millisecond, settledWithin, u.forgotten); err != nil {
		return nil, err
	}
	err = u.recovery.until(ctx, "the forgotten jobs to be judged", func(ctx context.Context) (bool, error) {
		report, err = u.driver.Check(ctx, u.recovery.client)
		return err == nil && report.Lost == 0, err
	})
	return report, err
}

// loseSight ends everything that watches Jobs, once each has a record, and lets
// the Jobs go on.
func (u *unwatched) loseSight(ctx context.Context) error {
	jobs := append(u.driver.Names(unseen), u.driver.Names(forgotten)...)
	known := u.recovery.all(jobs, func(r shown) bool { return r.uid != "" })
	if err := await(ctx, "the records of the queued Jobs", 100*time.Millisecond, settledWithin, known); err != nil {
		return err
	}
	for _, process := range u.project.Processes() {
		if name := process.Name(); name == "event-streamer" || name == stack.WitnessName {
			if err := process.Kill(); err != nil {
				return fmt.Errorf("kill %s: %w", name, err)
			}
		}
	}
	if err := u.sink.Stop(); err != nil {
		return fmt.Errorf("stop the log sink: %w", err)
	}
	if err := u.writeOutput(ctx); err != nil {
		return err
	}
	for _, name := range jobs {
		if err := u.driver.Unsuspend(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// writeOutput leaves what the Jobs that succeed would: a marker that names its
// run.
func (u *unwatched) writeOutput(ctx context.Context) (err error) {
	client, err := u.stack.GCS.Client(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	for _, name := range u.driver.Names(unseen) {
		w := client.Bucket(stack.OutputBucket).Object(place(name) + "_SUCCESS").NewWriter(ctx)
		w.Metadata = map[string]string{"uid": u.driver.Truth().Facts()[name].UID}
		if err := w.Close(); err != nil {
			return fmt.Errorf("write the marker of job %s: %w", name, err)
		}
	}
	return nil
}

// forgotten reports whether none of the Jobs is there any more.
func (u *unwatched) forgotten(ctx context.Context) (bool, error) {
	jobs, err := u.stack.Kube().BatchV1().Jobs(u.project.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, fmt.Errorf("list jobs of namespace %s: %w", u.project.Namespace, err)
	}
	ours := map[string]bool{}
	for _, name := range append(u.driver.Names(unseen), u.driver.Names(forgotten)...) {
		ours[name] = true
	}
	for i := range jobs.Items {
		if ours[jobs.Items[i].Name] {
			return false, nil
		}
	}
	return true, nil
}
