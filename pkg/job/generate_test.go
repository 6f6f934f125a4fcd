package job

import (
	"time"

	"pgregory.net/rapid"

	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// Every field is drawn from at most three values, so that ties on many levels
// happen all the time: a law that fails only when two claims are equal but for
// one field must be found.

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func three[T any](t *rapid.T, label string, a, b, c T) T {
	return rapid.SampledFrom([]T{a, b, c}).Draw(t, label)
}

func drawTime(t *rapid.T, label string) time.Time {
	return epoch.Add(three(t, label, 0, time.Second, 2*time.Second))
}

// drawObservation makes any claim about job "j".
func drawObservation(t *rapid.T) Observation {
	o := Observation{
		JobID:         "j",
		OccurredAt:    drawTime(t, "occurred_at"),
		Attempt:       three[int32](t, "attempt", 1, 2, 3),
		Ordinal:       three(t, "ordinal", OrdinalBackend, OrdinalKubernetes, OrdinalWholeJob),
		Stage:         three(t, "stage", "a", "b", "c"),
		CorrelationID: three(t, "correlation_id", "", "c1", "c2"),
		Owner:         three(t, "owner", "", "o1", "o2"),
		Tenant:        three(t, "tenant", "", "t1", "t2"),
		OutputURI:     three(t, "output_uri", "", "gs://b/1/", "gs://b/2/"),
		Source: three(t, "source", resiliencyv1.Source_SOURCE_EVENT_STREAMER,
			resiliencyv1.Source_SOURCE_LOG_WITNESS, resiliencyv1.Source_SOURCE_SDK),
		Kind:       rapid.SampledFrom([]Kind{KindStatus, KindCause, KindVanished, KindDelay}).Draw(t, "kind"),
		Kubernetes: drawKubernetes(t),
	}
	drawClaim(t, &o)
	return o
}

func drawKubernetes(t *rapid.T) Kubernetes {
	k := Kubernetes{UID: three(t, "uid", "", "u1", "u2")}
	if k.UID == "" {
		return k
	}
	if rapid.IntRange(0, 5).Draw(t, "knows its creation") > 0 {
		k.CreatedAt = drawTime(t, "created_at")
	}
	k.Cluster = three(t, "cluster", "k1", "k2", "k3")
	k.Namespace = three(t, "namespace", "n1", "n2", "n3")
	k.Name = three(t, "name", "j1", "j2", "j3")
	k.End = three(t, "end", StageEndUnknown, StageEndsJob, StageGoesOn)
	return k
}

func drawClaim(t *rapid.T, o *Observation) {
	switch o.Kind {
	case KindStatus:
		o.State = rapid.SampledFrom([]State{StatePending, StateSuspended, StateRunning,
			StateSucceeded, StateFailed, StateCancelled}).Draw(t, "state")
		if Terminal(o.State) {
			o.Evidence = rapid.SampledFrom([]Evidence{EvidenceAssumed, EvidenceAbsence, EvidenceDeleted,
				EvidenceOutput, EvidenceStated, EvidenceCondition}).Draw(t, "evidence")
		}
		o.StageDone = o.State == StateRunning && rapid.Bool().Draw(t, "stage_done")
		o.Generation = three[int64](t, "generation", 0, 1, 2)
		o.Detail = three(t, "detail", "", "d1", "d2")
		o.Cause = drawCause(t)
	case KindCause:
		o.Cause = drawCause(t)
	case KindVanished:
		o.LastState = three(t, "last_state", StateUnspecified, StatePending, StateRunning)
	case KindDelay:
		o.Delayed = rapid.Bool().Draw(t, "delayed")
		o.DelayReason = three(t, "delay_reason", "", "r1", "r2")
	}
}

func drawCause(t *rapid.T) CauseDetail {
	c := CauseDetail{
		Cause:     three(t, "cause", CauseUnspecified, CauseOOM, CauseBackoffLimit),
		Message:   three(t, "message", "", "m1", "m2"),
		Reason:    three(t, "reason", "", "r1", "r2"),
		Pod:       three(t, "pod", "", "p1", "p2"),
		Container: three(t, "container", "", "c1", "c2"),
		Node:      three(t, "node", "", "n1", "n2"),
	}
	if code := three[int32](t, "exit_code", -1, 1, 137); code >= 0 {
		c.ExitCode = &code
	}
	return c
}

// drawSibling makes a claim that differs from o in a few fields at most, which
// is where ties are decided: fields are taken over from a fresh draw with low
// probability each.
func drawSibling(t *rapid.T, o Observation) Observation {
	other := drawObservation(t)
	s := o
	take := func(label string, copyField func()) {
		if rapid.IntRange(0, 9).Draw(t, "take "+label) == 0 {
			copyField()
		}
	}
	take("time", func() { s.OccurredAt = other.OccurredAt })
	take("attempt", func() { s.Attempt = other.Attempt })
	take("ordinal", func() { s.Ordinal = other.Ordinal })
	take("stage", func() { s.Stage = other.Stage })
	take("owner", func() { s.Owner = other.Owner })
	take("source", func() { s.Source = other.Source })
	take("uid", func() { s.Kubernetes.UID = other.Kubernetes.UID })
	take("created", func() { s.Kubernetes.CreatedAt = other.Kubernetes.CreatedAt })
	take("cluster", func() { s.Kubernetes.Cluster = other.Kubernetes.Cluster })
	take("namespace", func() { s.Kubernetes.Namespace = other.Kubernetes.Namespace })
	take("name", func() { s.Kubernetes.Name = other.Kubernetes.Name })
	take("end", func() { s.Kubernetes.End = other.Kubernetes.End })
	take("generation", func() { s.Generation = other.Generation })
	take("detail", func() { s.Detail = other.Detail })
	take("stage_done", func() { s.StageDone = !s.StageDone && s.State == StateRunning })
	take("delayed", func() { s.Delayed = other.Delayed })
	take("delay_reason", func() { s.DelayReason = other.DelayReason })
	takeCause(take, &s.Cause, &other.Cause)
	if Terminal(s.State) && Terminal(other.State) {
		take("state", func() { s.State = other.State })
		take("evidence", func() { s.Evidence = other.Evidence })
	} else if !Terminal(s.State) && !Terminal(other.State) {
		take("state", func() { s.State = other.State })
	}
	return s
}

func takeCause(take func(string, func()), dst, src *CauseDetail) {
	take("cause", func() { dst.Cause = src.Cause })
	take("message", func() { dst.Message = src.Message })
	take("reason", func() { dst.Reason = src.Reason })
	take("pod", func() { dst.Pod = src.Pod })
	take("container", func() { dst.Container = src.Container })
	take("node", func() { dst.Node = src.Node })
	take("exit", func() { dst.ExitCode = src.ExitCode })
}

// drawObservations makes some claims about one job, siblings among them.
func drawObservations(t *rapid.T) []Observation {
	n := rapid.IntRange(2, 7).Draw(t, "n")
	list := make([]Observation, 0, n)
	for i := range n {
		if i > 0 && rapid.IntRange(0, 2).Draw(t, "sibling") > 0 {
			from := rapid.IntRange(0, i-1).Draw(t, "from")
			list = append(list, drawSibling(t, list[from]))
			continue
		}
		list = append(list, drawObservation(t))
	}
	return list
}
