package kube

import (
	"fmt"
	"time"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobevent"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// Names of the phases of a pod.
const (
	// PhasePodScheduled notes that a node was found.
	PhasePodScheduled = "pod.scheduled"
	// PhasePodWaiting notes that a pod waits for room, an image or configuration.
	PhasePodWaiting = "pod.waiting"
	// PhasePodRestarted notes that a container failed while its pod goes on.
	PhasePodRestarted = "pod.restarted"
	// PhasePod, with the pod's name behind it, spans the pod's life on its node.
	PhasePod = "pod "
)

// Pod says all that a Pod shows about the Job that owns it: causes of failure,
// which never touch the status, and the steps of its life.
func (m *Mapper) Pod(p *Pod, owner *Job) (Facts, error) {
	var f Facts
	head, err := m.podHead(p, owner)
	if err != nil {
		return f, err
	}
	uid := string(p.UID)
	for i := range p.Causes {
		c := &p.Causes[i]
		// What a pod waits for explains only that its Job ran out of time: most
		// pods get their room or image in the end, and an exit code must not be
		// shown as the lack of it.
		if !c.Waiting || owner.Overdue() {
			o := head
			o.Kind, o.Cause = job.KindCause, c.CauseDetail
			f.observe(o, c.At, "CAUSE", uid, c.Container, job.CauseName(c.Cause))
		}
		f.podNote(&head, p, c)
	}
	if !p.ScheduledAt.IsZero() {
		f.noted(&head, p, p.ScheduledAt, PhasePodScheduled, "the pod got a node", nil, uid)
	}
	if !p.StartedAt.IsZero() {
		f.podPhase(&head, p, p.StartedAt, "START").Event = &resiliencyv1.PhaseEvent_Started{Started: &resiliencyv1.PhaseStarted{}}
	}
	if !p.EndedAt.IsZero() {
		f.podEnd(&head, p, p.EndedAt, p.outcome())
	}
	return f, nil
}

// PodDeleted says what Pod says, and closes the phase of a pod that was deleted
// before its end: by a suspension, with its Job, or by hand.
func (m *Mapper) PodDeleted(p *Pod, owner *Job) (Facts, error) {
	f, err := m.Pod(p, owner)
	if err != nil || p.StartedAt.IsZero() || !p.EndedAt.IsZero() {
		return f, err
	}
	head, err := m.podHead(p, owner)
	if err != nil {
		return f, err
	}
	f.podEnd(&head, p, later(deletedAt(&p.ObjectMeta), p.StartedAt), resiliencyv1.PhaseOutcome_PHASE_OUTCOME_CANCELLED)
	return f, nil
}

func (m *Mapper) podHead(p *Pod, owner *Job) (job.Observation, error) {
	if owner == nil || p.JobUID == "" || p.JobUID != owner.UID {
		return job.Observation{}, fmt.Errorf("read pod %s/%s: %w", p.Namespace, p.Name, ErrNotOwner)
	}
	if p.UID == "" || p.CreationTimestamp.IsZero() {
		return job.Observation{}, fmt.Errorf("read pod %s/%s: %w", p.Namespace, p.Name, ErrIncomplete)
	}
	// What is wrong with the Job's annotations was noted with the Job.
	return m.head(owner, &Facts{})
}

func (p *Pod) outcome() resiliencyv1.PhaseOutcome {
	switch {
	case p.Phase == "Succeeded":
		return resiliencyv1.PhaseOutcome_PHASE_OUTCOME_SUCCEEDED
	case p.Cancelled:
		return resiliencyv1.PhaseOutcome_PHASE_OUTCOME_CANCELLED
	default:
		return resiliencyv1.PhaseOutcome_PHASE_OUTCOME_FAILED
	}
}

// podNote makes a phase of a cause that the end of the pod's own phase will not
// tell, because the pod goes on.
func (f *Facts) podNote(o *job.Observation, p *Pod, c *PodCause) {
	switch {
	case c.Waiting:
		f.noted(o, p, c.At, PhasePodWaiting, c.Message, c, string(p.UID), c.Container, job.CauseName(c.Cause))
	case p.EndedAt.IsZero():
		f.noted(o, p, c.At, PhasePodRestarted, c.Message, c, string(p.UID), c.Container)
	}
}

func (f *Facts) noted(o *job.Observation, p *Pod, at time.Time, name, message string, c *PodCause, parts ...string) {
	e := f.phase(o, at, name, parts...)
	e.Message, e.Details = message, podDetails(p)
	note := &resiliencyv1.PhaseNoted{Level: resiliencyv1.NoteLevel_NOTE_LEVEL_INFO, Kubernetes: jobevent.KubernetesRef(&o.Kubernetes)}
	if c != nil {
		note.Level, note.Cause = resiliencyv1.NoteLevel_NOTE_LEVEL_WARNING, jobevent.Cause(&c.CauseDetail)
	}
	e.Event = &resiliencyv1.PhaseEvent_Noted{Noted: note}
}

func (f *Facts) podPhase(o *job.Observation, p *Pod, at time.Time, which string) *resiliencyv1.PhaseEvent {
	e := f.phase(o, at, PhasePod+p.Name, string(p.UID), which)
	e.Details = podDetails(p)
	return e
}

func (f *Facts) podEnd(o *job.Observation, p *Pod, at time.Time, outcome resiliencyv1.PhaseOutcome) {
	e := f.podPhase(o, p, later(at, p.StartedAt), "END")
	end := &resiliencyv1.PhaseEnded{Outcome: outcome}
	if len(p.Causes) > 0 {
		end.Cause = jobevent.Cause(&p.Causes[0].CauseDetail)
		e.Message = end.Cause.Message
	}
	e.Event = &resiliencyv1.PhaseEvent_Ended{Ended: end}
}

func podDetails(p *Pod) map[string]string {
	d := map[string]string{"pod": p.Name}
	if p.Node != "" {
		d["node"] = p.Node
	}
	if p.Index != "" {
		d["index"] = p.Index
	}
	return d
}
