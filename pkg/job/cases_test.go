package job

import (
	"fmt"
	"slices"
	"testing"
	"time"

	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// caseOf is a story with one right end, whatever the order it is told in.
type caseOf struct {
	name   string
	claims []Observation
	want   View
	// owner, cluster, output and started, where a case is about them.
	owner, cluster, output string
	started                time.Time
}

func at(second int) time.Time { return epoch.Add(time.Duration(second) * time.Second) }

type edit func(*Observation)

// claim is a status of the Kubernetes stage, attempt 1, in the life "u1" unless
// an edit says otherwise.
func claim(s State, second int, edits ...edit) Observation {
	o := Observation{
		JobID: "j", Attempt: 1, Ordinal: OrdinalKubernetes, Stage: StageKubernetes,
		OccurredAt: at(second), Source: resiliencyv1.Source_SOURCE_EVENT_STREAMER,
		Kind: KindStatus, State: s, Kubernetes: Kubernetes{Cluster: "c", Namespace: "n", Name: "j", UID: "u1", CreatedAt: at(0)},
	}
	if Terminal(s) {
		o.Evidence = EvidenceCondition
	}
	for _, e := range edits {
		e(&o)
	}
	return o
}

func attempt(n int32) edit    { return func(o *Observation) { o.Attempt = n } }
func by(e Evidence) edit      { return func(o *Observation) { o.Evidence = e } }
func generation(g int64) edit { return func(o *Observation) { o.Generation = g } }
func because(c Cause) edit    { return func(o *Observation) { o.Cause.Cause = c } }
func messaged(m string) edit  { return func(o *Observation) { o.Cause.Message = m } }
func stageDone() edit         { return func(o *Observation) { o.StageDone = true } }
func detailed(d string) edit  { return func(o *Observation) { o.Detail = d } }
func owned(v string) edit     { return func(o *Observation) { o.Owner = v } }
func told(s Source) edit      { return func(o *Observation) { o.Source = s } }
func inStage(ord int32, name string) edit {
	return func(o *Observation) { o.Ordinal, o.Stage, o.Kubernetes = ord, name, Kubernetes{} }
}
func life(uid string, created int) edit {
	return func(o *Observation) { o.Kubernetes.UID, o.Kubernetes.CreatedAt = uid, at(created) }
}
func kind(k Kind) edit {
	return func(o *Observation) { o.Kind, o.State, o.Evidence = k, StateUnspecified, EvidenceNone }
}
func writesTo(uri string) edit   { return func(o *Observation) { o.OutputURI = uri } }
func onCluster(name string) edit { return func(o *Observation) { o.Kubernetes.Cluster = name } }
func delay(on bool, reason string) edit {
	return func(o *Observation) { kind(KindDelay)(o); o.Delayed, o.DelayReason = on, reason }
}

// wanted is the part of a view that a case is about; the rest is compared too.
func wanted(s State, second int, edits ...func(*View)) View {
	v := View{State: s, Attempt: 1, Ordinal: OrdinalKubernetes, Stage: StageKubernetes, OccurredAt: at(second)}
	if Terminal(s) {
		v.Evidence, v.Final = EvidenceCondition, true
	}
	for _, e := range edits {
		e(&v)
	}
	return v
}

func resting(e Evidence, final bool) func(*View) {
	return func(v *View) { v.Evidence, v.Final = e, final }
}
func caused(c Cause) func(*View)    { return func(v *View) { v.Cause.Cause = c } }
func ofAttempt(n int32) func(*View) { return func(v *View) { v.Attempt = n } }
func done() func(*View)             { return func(v *View) { v.StageDone = true } }
func waits(reason string) func(*View) {
	return func(v *View) { v.Delayed, v.DelayReason = true, reason }
}
func gone() func(*View)              { return func(v *View) { v.Vanished = true } }
func described(d string) func(*View) { return func(v *View) { v.Detail = d } }
func at2(ord int32, s string) func(*View) {
	return func(v *View) { v.Ordinal, v.Stage = ord, s }
}

func hardCases() []caseOf {
	return slices.Concat(lifeCases(), verdictCases(), timeCases(), causeCases(), markCases(), descriptionCases())
}

func TestHardCases(t *testing.T) {
	t.Parallel()
	for _, c := range hardCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if err := c.check(&merge); err != nil {
				t.Error(err)
			}
		})
	}
}

// check tells the story in every order and with a repeat of each claim.
func (c caseOf) check(m *rules) error {
	for _, order := range permutations(len(c.claims)) {
		var r Record
		for _, i := range append(order, order...) {
			m.apply(&r, &c.claims[i])
		}
		if got := r.View(); !equalViews(got, c.want) {
			return fmt.Errorf("%s, told in order %v:\n got %+v\nwant %+v", c.name, order, got, c.want)
		}
		if c.owner != "" && r.Owner.Value != c.owner {
			return fmt.Errorf("%s, told in order %v: owner %q, want %q", c.name, order, r.Owner.Value, c.owner)
		}
		if c.output != "" && r.OutputURI.Value != c.output {
			return fmt.Errorf("%s, told in order %v: output %q, want %q", c.name, order, r.OutputURI.Value, c.output)
		}
		if !c.started.IsZero() && r.Started.At != c.started {
			return fmt.Errorf("%s, told in order %v: started %s, want %s", c.name, order, r.Started.At, c.started)
		}
		if c.cluster != "" && r.Kubernetes.Cluster != c.cluster {
			return fmt.Errorf("%s, told in order %v: cluster %q, want %q", c.name, order, r.Kubernetes.Cluster, c.cluster)
		}
	}
	return nil
}

func equalViews(a, b View) bool {
	if (a.Cause.ExitCode == nil) != (b.Cause.ExitCode == nil) {
		return false
	}
	a.Cause.ExitCode, b.Cause.ExitCode = nil, nil
	return a == b
}

func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{nil}
	}
	var all [][]int
	for _, p := range permutations(n - 1) {
		for i := range n {
			all = append(all, slices.Insert(slices.Clone(p), i, n-1))
		}
	}
	return all
}
