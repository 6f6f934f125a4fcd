package judge

import (
	"fmt"
	"strings"

	"github.com/envision/resiliency/pkg/job"
)

// detail writes down all that the verdict rests on, a line each, so that a
// person can judge again.
func (q *inquest) detail(v *Verdict) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("verdict: %s (%s): %s", v.Action, v.Reason, v.Sentence)
	if q.Record == nil {
		return b.String()
	}
	line("record: %s in stage %s, attempt %d, last heard of %s ago",
		job.StateName(q.view.State), orNone(q.view.Stage), q.attempt, q.quietFor())
	if v.Rule != "" {
		line("rule: %s", v.Rule)
	}
	q.clusterDetail(line)
	q.outputDetail(line)
	switch p := &q.Phase; {
	case p.Probe == Failed:
		line("newest phase: no answer: %s", p.Fault.Err)
	case p.Probe == Answered && p.At.IsZero():
		line("newest phase: none")
	case p.Probe == Answered:
		line("newest phase: %q of %s", p.Name, stamp(p.At))
	}
	if q.Resumes.Asked > 0 {
		line("resumes: %d", q.Resumes.Asked)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// maxListed bounds how many objects the detail names.
const maxListed = 20

func (q *inquest) clusterDetail(line func(string, ...any)) {
	c := &q.Cluster
	switch c.Probe {
	case NotAsked:
		return
	case Failed:
		line("cluster %s: no answer: %s", q.home.Cluster, c.Fault.Err)
		return
	case Answered:
	}
	how := "by list"
	if c.Live {
		how = "live"
	}
	line("cluster %s, %s at %s: %d Kubernetes Jobs, %d pods without one", q.home.Cluster, how, stamp(c.At), len(c.Jobs), len(c.Pods))
	for i := range c.Jobs[:min(len(c.Jobs), maxListed)] {
		f := &c.Jobs[i]
		k := &f.Head.Kubernetes
		line("  %s, uid %s, attempt %d: %s %s %s%s", f.name(), k.UID, f.Head.Attempt, f.Stand, f.Wait, f.Message, f.Problem)
	}
	for _, p := range c.Pods[:min(len(c.Pods), maxListed)] {
		line("  pod %s", p)
	}
}

func (q *inquest) outputDetail(line func(string, ...any)) {
	o := &q.Output
	switch o.Probe {
	case NotAsked:
	case Failed:
		line("output %s: no answer: %s", q.place(), o.Fault.Err)
	case Answered:
		line("output %s: %s, %d objects, newest %s %s", q.place(), o.Finding, o.Objects, stamp(o.Newest), o.Note)
	}
}
