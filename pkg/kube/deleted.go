package kube

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobevent"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// PhaseDeleted is the phase of a Job that was deleted before its end.
const PhaseDeleted = "job.deleted"

// Deleted says what the deletion of a Job means, given the last object that was
// seen of it; finalStateKnown says whether that was its very last. The caller
// has made sure that the Job is gone: a removed label looks like a deletion too.
//
//   - It had ended: what it had said anyway. Removal after the end is no news.
//   - FailureTarget or SuccessCriteriaMet: FAILED or SUCCEEDED, on the
//     condition's own evidence, since neither can be unset.
//   - Else, its last moment seen: CANCELLED (DELETED).
//   - Else: vanished, which is for recovery to judge.
func (m *Mapper) Deleted(j *Job, finalStateKnown bool) (Facts, error) {
	f, err := m.Job(j)
	if err != nil || j.Ended() {
		return f, err
	}
	head, err := m.head(j, &Facts{})
	if err != nil {
		return f, err
	}
	switch {
	case f.decided(head, j):
	case finalStateKnown:
		f.cancelled(head, j)
	default:
		o := head
		o.Kind, o.LastState = job.KindVanished, j.lastState()
		// Not before the last that is known of it, or it would count for nothing.
		f.observe(o, later(deletedAt(&j.ObjectMeta), j.latest()), "VANISHED")
	}
	f.deleted(&head, j, finalStateKnown)
	return f, nil
}

// Decided says how a Job ends whose end is decided (FailureTarget,
// SuccessCriteriaMet) and not carried out yet: what its last condition will say,
// since neither can be unset. It says nothing of any other Job. The caller knows
// that nobody will carry it out: a node is dead.
func (m *Mapper) Decided(j *Job) (Facts, error) {
	var f Facts
	head, err := m.head(j, &Facts{})
	if err == nil && !j.Ended() {
		f.decided(head, j)
	}
	return f, err
}

func (f *Facts) decided(head job.Observation, j *Job) bool {
	target, met := j.holds(batchv1.JobFailureTarget), j.holds(batchv1.JobSuccessCriteriaMet)
	f.ended(head, j, met, j.end() == job.StageEndsJob)
	f.failed(head, j, target)
	return target != nil || met != nil
}

func (f *Facts) cancelled(o job.Observation, j *Job) {
	o.Kind, o.State, o.Evidence = job.KindStatus, job.StateCancelled, job.EvidenceDeleted
	o.Cause = job.CauseDetail{
		Cause:   job.CauseDeleted,
		Message: "the Kubernetes Job was deleted before its end",
	}
	o.Detail = "deleted while " + job.StateName(j.lastState())
	f.observe(o, j.goneAt(), job.StateName(o.State))
}

func (f *Facts) deleted(o *job.Observation, j *Job, finalStateKnown bool) {
	p := f.phase(o, j.goneAt(), PhaseDeleted)
	p.Message = "the Kubernetes Job was deleted before its end"
	if !finalStateKnown {
		p.Message = "the Kubernetes Job is gone and nobody saw how it ended"
	}
	p.Details = map[string]string{"last_state": job.StateName(j.lastState())}
	p.Event = &resiliencyv1.PhaseEvent_Noted{Noted: &resiliencyv1.PhaseNoted{
		Level: resiliencyv1.NoteLevel_NOTE_LEVEL_WARNING, Kubernetes: jobevent.KubernetesRef(&o.Kubernetes),
	}}
}

// goneAt dates a deletion. Most deletions leave no timestamp on the object, and
// no clock may fill in: the latest moment that the object tells of stands in.
func (j *Job) goneAt() time.Time {
	if t := deletedAt(&j.ObjectMeta); !t.IsZero() {
		return t
	}
	return j.latest()
}
