package jobevent

import (
	"strconv"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// Update gives the JobUpdate of a change, or nil when the change is none that
// a user must hear of (a PENDING job, a better cause of a known end, a new
// owner). revision is that of the record after the change; source says who
// commits it. The same arguments give the same message.
func Update(before, after *job.Record, revision int64, source job.Source) *resiliencyv1.JobUpdate {
	was, is := before.View(), after.View()
	u := &resiliencyv1.JobUpdate{}
	if !setKind(u, before, after, &was, &is) {
		return nil
	}
	u.EventId = job.EventID("job-update", after.JobID, strconv.FormatInt(revision, 10))
	u.OccurredAt = timestamp(is.OccurredAt)
	u.JobId = after.JobID
	u.Attempt = is.Attempt
	u.Stage = &resiliencyv1.Stage{Name: is.Stage, Ordinal: is.Ordinal}
	u.CorrelationId = after.CorrelationID.Value
	u.Source = source
	u.Revision = revision
	u.State = is.State
	u.Evidence = is.Evidence
	u.Cause = Cause(&is.Cause)
	u.Description = Description(after.Owner.Value, after.Tenant.Value, after.OutputURI.Value)
	u.Kubernetes = KubernetesRef(&after.Kubernetes.Kubernetes)
	u.Text = text(u, &is)
	return u
}

// setKind decides which kind of update a change is; false means none.
func setKind(u *resiliencyv1.JobUpdate, before, after *job.Record, was, is *job.View) bool {
	switch {
	case job.Corrected(&before.Status, &after.Status) && job.Terminal(is.State):
		u.Event = &resiliencyv1.JobUpdate_Corrected{Corrected: &resiliencyv1.JobCorrected{
			FromState: was.State, FromEvidence: was.Evidence,
		}}
	case job.Terminal(is.State):
		return !sameEnd(before, after) && setEnd(u, is.State)
	case job.Terminal(was.State):
		u.Event = &resiliencyv1.JobUpdate_Resumed{Resumed: &resiliencyv1.JobResumed{FromState: was.State}}
	case is.Delayed && !was.Delayed:
		u.Event = &resiliencyv1.JobUpdate_Delayed{Delayed: &resiliencyv1.JobDelayed{Reason: is.DelayReason}}
	case is.State != job.StateSuspended && (was.State == job.StateSuspended || was.Delayed && !is.Delayed):
		u.Event = &resiliencyv1.JobUpdate_Resumed{Resumed: &resiliencyv1.JobResumed{FromState: was.State}}
	case is.State == job.StateRunning && was.State != job.StateRunning:
		u.Event = &resiliencyv1.JobUpdate_Running{Running: &resiliencyv1.JobRunning{}}
	default:
		return false
	}
	return true
}

// sameEnd reports whether the user has been told of this end of this life.
func sameEnd(before, after *job.Record) bool {
	return before.Status.State == after.Status.State && before.Status.Life == after.Status.Life
}

func setEnd(u *resiliencyv1.JobUpdate, s job.State) bool {
	switch s {
	case job.StateSucceeded:
		u.Event = &resiliencyv1.JobUpdate_Succeeded{Succeeded: &resiliencyv1.JobSucceeded{}}
	case job.StateFailed:
		u.Event = &resiliencyv1.JobUpdate_Failed{Failed: &resiliencyv1.JobFailed{}}
	case job.StateCancelled:
		u.Event = &resiliencyv1.JobUpdate_Cancelled{Cancelled: &resiliencyv1.JobCancelled{}}
	}
	return true
}

// Correction gives the phase that records a verdict being replaced, or nil
// when the change replaced none.
func Correction(before, after *job.Record, revision int64, source job.Source) *resiliencyv1.PhaseEvent {
	if !job.Corrected(&before.Status, &after.Status) {
		return nil
	}
	s := &after.Status
	return &resiliencyv1.PhaseEvent{
		EventId:       job.EventID("correction", after.JobID, strconv.FormatInt(revision, 10)),
		OccurredAt:    timestamp(s.OccurredAt),
		JobId:         after.JobID,
		Attempt:       s.Attempt,
		Stage:         &resiliencyv1.Stage{Name: s.Stage, Ordinal: s.Ordinal},
		CorrelationId: after.CorrelationID.Value,
		Source:        source,
		Name:          "job.corrected",
		Message: "The verdict " + job.StateName(before.Status.State) + " (" + job.EvidenceName(before.Status.Evidence) +
			") was replaced by " + job.StateName(s.State) + ".",
		Event: &resiliencyv1.PhaseEvent_Corrected{Corrected: &resiliencyv1.StatusCorrected{
			FromState: before.Status.State, FromEvidence: before.Status.Evidence,
			ToState: s.State, ToEvidence: s.Evidence, Revision: revision,
		}},
	}
}
