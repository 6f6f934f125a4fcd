package drive

import (
	"context"
	"fmt"
	"time"

	"github.com/envision/resiliency/test/stack"
)

// The states that a scenario may declare, spelled as the records spell them.
const (
	Succeeded = "SUCCEEDED"
	Failed    = "FAILED"
	Cancelled = "CANCELLED"
)

// Scenario is a number of Jobs that all end in one declared way.
type Scenario struct {
	// Name is short; it becomes part of each Job's name.
	Name string
	// Jobs is how many of them are created.
	Jobs int
	// Expected is the state that each record must end in.
	Expected string
	// Cause is what each record must name as its cause, and Evidence what its
	// verdict must rest on; empty means not checked.
	Cause, Evidence string
	// Attempt is the run that each record must tell of; 0 means the first.
	Attempt int64
	// Spec is the Job to create; its namespace, name and job id are filled in.
	Spec stack.JobSpec
	// Vary changes the spec of one Job, once its name is filled in; nil for nothing.
	Vary func(spec *stack.JobSpec)
	// Begin begins a job outside Kubernetes instead of creating it there. Whoever
	// takes the job there gives the Job its name; with Stays nobody does, and the
	// truth is what the scenario declares.
	Begin func(ctx context.Context, name string) error
	Stays bool
	// Act is done to each Job once one of its pods runs; nil for nothing.
	Act func(ctx context.Context, a *Actor, name string) error
}

// Standard are the five scenarios of the demo in the proportions of 200 Jobs,
// scaled to a number of Jobs: most succeed, some exit non-zero, some are
// OOM-killed, some are suspended and resumed, some are deleted while running.
func Standard(jobs int) []Scenario {
	part := func(share int) int { return jobs * share / 200 }
	list := []Scenario{
		{Name: "exit-code", Jobs: part(30), Expected: Failed, Cause: "APP_EXIT",
			Spec: stack.JobSpec{Outcome: stack.OutcomeExit, ExitCode: 3}},
		{Name: "oom-killed", Jobs: part(25), Expected: Failed, Cause: "OOM",
			Spec: stack.JobSpec{Outcome: stack.OutcomeOOM}},
		{Name: "suspend-resume", Jobs: part(25), Expected: Succeeded,
			Spec: stack.JobSpec{Outcome: stack.OutcomeSucceed, After: 3 * time.Second}, Act: SuspendAndResume},
		{Name: "deleted-running", Jobs: part(20), Expected: Cancelled,
			Spec: stack.JobSpec{Outcome: stack.OutcomeHang}, Act: Delete},
	}
	rest := jobs
	for _, s := range list {
		rest -= s.Jobs
	}
	succeed := Scenario{Name: "succeed", Jobs: rest, Expected: Succeeded, Spec: stack.JobSpec{Outcome: stack.OutcomeSucceed}}
	return append([]Scenario{succeed}, list...)
}

// planned is one Job of a plan.
type planned struct {
	scenario *Scenario
	// name is the Job's name and its job id alike.
	name string
}

// interleave deals the Jobs of all scenarios evenly over the whole plan, so
// that whatever happens to the services at some moment meets all of them.
func interleave(prefix string, scenarios []Scenario) []planned {
	total := 0
	for i := range scenarios {
		total += scenarios[i].Jobs
	}
	plan := make([]planned, 0, total)
	dealt := make([]int, len(scenarios))
	for n := 1; n <= total; n++ {
		best, lag := -1, 0.0
		for i := range scenarios {
			behind := float64(n)*float64(scenarios[i].Jobs)/float64(total) - float64(dealt[i])
			if dealt[i] < scenarios[i].Jobs && (best < 0 || behind > lag) {
				best, lag = i, behind
			}
		}
		dealt[best]++
		plan = append(plan, planned{
			scenario: &scenarios[best],
			name:     fmt.Sprintf("%s-%s-%04d", prefix, scenarios[best].Name, dealt[best]),
		})
	}
	return plan
}
