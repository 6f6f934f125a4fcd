package job

import (
	"cmp"
	"strings"
)

// order is a total order as a list of levels, most significant first: the
// first level that tells two values apart decides. A list rather than one
// function, so that a test can take each level away and show that something
// then breaks.
type order[T any] []level[T]

type level[T any] struct {
	name    string
	compare func(a, b *T) int
}

func (o order[T]) compare(a, b *T) int {
	for i := range o {
		if c := o[i].compare(a, b); c != 0 {
			return c
		}
	}
	return 0
}

// max keeps the greater of two values in dst and reports whether dst changed.
func (o order[T]) max(dst, src *T) bool {
	if o.compare(dst, src) >= 0 {
		return false
	}
	*dst = *src
	return true
}

// rules are the orders that a record is merged by.
type rules struct {
	status     order[Status]
	cause      order[CauseClaim]
	mark       order[Mark]
	described  order[Described]
	kubernetes order[KubernetesClaim]
	start      order[Start]
}

// merge is the rule of the product. It is never written to.
var merge = rules{ //nolint:gochecknoglobals // a constant that Go cannot spell as one
	status:     statusOrder(),
	cause:      causeOrder(),
	mark:       markOrder(),
	described:  describedOrder(),
	kubernetes: kubernetesOrder(),
	start:      startOrder(),
}

// statusOrder says which claim speaks for a job.
func statusOrder() order[Status] {
	return append(lifeLevels(func(s *Status) *Life { return &s.Life }),
		// What is final is never reopened by what is not.
		level[Status]{"final", func(a, b *Status) int { return compareBool(a.final(), b.final()) }},
		// Among final ones the stronger evidence holds.
		level[Status]{"evidence of the final", func(a, b *Status) int {
			if !a.final() || !b.final() {
				return 0
			}
			return cmp.Compare(a.Evidence, b.Evidence)
		}},
		// The first end is the end; but of what goes on, the latest word holds.
		level[Status]{"time", func(a, b *Status) int {
			if a.final() && b.final() {
				return b.OccurredAt.Compare(a.OccurredAt)
			}
			return a.OccurredAt.Compare(b.OccurredAt)
		}},
		// Kubernetes cuts time to seconds. Suspend and resume within one second
		// differ in the generation of the desired state alone.
		level[Status]{"generation", func(a, b *Status) int { return cmp.Compare(a.Generation, b.Generation) }},
		// Terminal states have the highest numbers, so they come first.
		level[Status]{"state", func(a, b *Status) int { return cmp.Compare(a.State, b.State) }},
		level[Status]{"evidence", func(a, b *Status) int { return cmp.Compare(a.Evidence, b.Evidence) }},
		level[Status]{"stage done", func(a, b *Status) int { return compareBool(a.StageDone, b.StageDone) }},
		level[Status]{"detail", func(a, b *Status) int { return strings.Compare(a.Detail, b.Detail) }},
	)
}

// lifeLevels orders lives: attempt, then leg. A rerun is a new life; within an
// attempt the furthest stage speaks, and within a stage the Kubernetes Job that
// was created last, so a Job recreated under its name supersedes the old one.
func lifeLevels[T any](life func(*T) *Life) order[T] {
	return order[T]{
		{"attempt", func(a, b *T) int { return cmp.Compare(life(a).Attempt, life(b).Attempt) }},
		{"stage ordinal", func(a, b *T) int { return cmp.Compare(life(a).Ordinal, life(b).Ordinal) }},
		{"stage name", func(a, b *T) int { return strings.Compare(life(a).Stage, life(b).Stage) }},
		{"creation of the Kubernetes Job", func(a, b *T) int { return life(a).CreatedAt.Compare(life(b).CreatedAt) }},
		{"uid of the Kubernetes Job", func(a, b *T) int { return strings.Compare(life(a).UID, life(b).UID) }},
	}
}

// causeOrder says which cause of a life is shown: the more specific one, and
// of two alike the one that was there first.
func causeOrder() order[CauseClaim] {
	return append(lifeLevels(func(c *CauseClaim) *Life { return &c.Life }),
		level[CauseClaim]{"specificity", func(a, b *CauseClaim) int {
			return cmp.Compare(Specificity(a.Cause), Specificity(b.Cause))
		}},
		level[CauseClaim]{"time", func(a, b *CauseClaim) int { return b.OccurredAt.Compare(a.OccurredAt) }},
		level[CauseClaim]{"message", func(a, b *CauseClaim) int { return strings.Compare(a.Message, b.Message) }},
		level[CauseClaim]{"reason", func(a, b *CauseClaim) int { return strings.Compare(a.Reason, b.Reason) }},
		level[CauseClaim]{"pod", func(a, b *CauseClaim) int { return strings.Compare(a.Pod, b.Pod) }},
		level[CauseClaim]{"container", func(a, b *CauseClaim) int { return strings.Compare(a.Container, b.Container) }},
		level[CauseClaim]{"node", func(a, b *CauseClaim) int { return strings.Compare(a.Node, b.Node) }},
		level[CauseClaim]{"exit code", func(a, b *CauseClaim) int { return compareExit(a.ExitCode, b.ExitCode) }},
	)
}

// markOrder lets the latest word on a mark hold.
func markOrder() order[Mark] {
	return append(lifeLevels(func(m *Mark) *Life { return &m.Life }),
		level[Mark]{"time", func(a, b *Mark) int { return a.OccurredAt.Compare(b.OccurredAt) }},
		// A mark set and taken away within one moment is taken away.
		level[Mark]{"cleared", func(a, b *Mark) int { return compareBool(!a.Set, !b.Set) }},
		level[Mark]{"reason", func(a, b *Mark) int { return strings.Compare(a.Reason, b.Reason) }},
	)
}

// describedOrder ranks the value to keep highest: any before none, that of a
// later run, then the smallest (source, time, bytes).
func describedOrder() order[Described] {
	return order[Described]{
		{"given at all", func(a, b *Described) int { return compareBool(a.Value != "", b.Value != "") }},
		{"attempt", func(a, b *Described) int { return cmp.Compare(a.Attempt, b.Attempt) }},
		{"source", func(a, b *Described) int { return cmp.Compare(b.SourceRank, a.SourceRank) }},
		{"time", func(a, b *Described) int { return b.OccurredAt.Compare(a.OccurredAt) }},
		{"bytes", func(a, b *Described) int { return strings.Compare(b.Value, a.Value) }},
	}
}

// startOrder keeps the earliest moment of the latest attempt.
func startOrder() order[Start] {
	return order[Start]{
		{"attempt", func(a, b *Start) int { return cmp.Compare(a.Attempt, b.Attempt) }},
		{"time", func(a, b *Start) int { return b.At.Compare(a.At) }},
	}
}

// kubernetesOrder keeps the newest Kubernetes Job of the furthest stage of the
// latest attempt: the one whose life speaks for the job.
func kubernetesOrder() order[KubernetesClaim] {
	return order[KubernetesClaim]{
		{"attempt", func(a, b *KubernetesClaim) int { return cmp.Compare(a.Attempt, b.Attempt) }},
		{"stage ordinal", func(a, b *KubernetesClaim) int { return cmp.Compare(a.Ordinal, b.Ordinal) }},
		{"stage name", func(a, b *KubernetesClaim) int { return strings.Compare(a.Stage, b.Stage) }},
		{"creation", func(a, b *KubernetesClaim) int { return a.CreatedAt.Compare(b.CreatedAt) }},
		{"uid", func(a, b *KubernetesClaim) int { return strings.Compare(a.UID, b.UID) }},
		{"cluster", func(a, b *KubernetesClaim) int { return strings.Compare(a.Cluster, b.Cluster) }},
		{"namespace", func(a, b *KubernetesClaim) int { return strings.Compare(a.Namespace, b.Namespace) }},
		{"name", func(a, b *KubernetesClaim) int { return strings.Compare(a.Name, b.Name) }},
		{"end", func(a, b *KubernetesClaim) int { return cmp.Compare(a.End, b.End) }},
	}
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}

// compareExit ranks a known exit code above none.
func compareExit(a, b *int32) int {
	if a == nil || b == nil {
		return compareBool(a != nil, b != nil)
	}
	return cmp.Compare(*a, *b)
}
