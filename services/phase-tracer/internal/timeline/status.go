package timeline

import (
	"time"

	"github.com/envision/resiliency/pkg/job"
)

// Status is what the job's record says.
type Status struct {
	// Known is false when there is no record; all else is then empty.
	Known bool   `json:"known"`
	State string `json:"state,omitempty"`
	// Terminal says that the state ends the job, Final that nothing reopens it.
	Terminal  bool      `json:"terminal"`
	Final     bool      `json:"final"`
	Evidence  string    `json:"evidence,omitempty"`
	Attempt   int32     `json:"attempt,omitempty"`
	Stage     string    `json:"stage,omitempty"`
	Ordinal   int32     `json:"stage_ordinal,omitempty"`
	StageDone bool      `json:"stage_done"`
	At        time.Time `json:"occurred_at,omitzero"`
	// Detail is the evidence behind a verdict, in words.
	Detail      string      `json:"detail,omitempty"`
	Cause       *Cause      `json:"cause,omitempty"`
	Delayed     bool        `json:"delayed"`
	DelayReason string      `json:"delay_reason,omitempty"`
	Vanished    bool        `json:"vanished"`
	Owner       string      `json:"owner,omitempty"`
	Tenant      string      `json:"tenant,omitempty"`
	Correlation string      `json:"correlation_id,omitempty"`
	OutputURI   string      `json:"output_uri,omitempty"`
	Kubernetes  *Kubernetes `json:"kubernetes,omitempty"`
	StartedAt   time.Time   `json:"attempt_started_at,omitzero"`
	Revision    int64       `json:"revision,omitempty"`
	UpdatedAt   time.Time   `json:"updated_at,omitzero"`
	UpdatedBy   string      `json:"updated_by,omitempty"`
	CheckAfter  time.Time   `json:"check_after,omitzero"`
	Resume      *Resume     `json:"resume,omitempty"`
}

// Kubernetes names the Kubernetes Job of the attempt.
type Kubernetes struct {
	Cluster   string    `json:"cluster"`
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	UID       string    `json:"uid"`
	CreatedAt time.Time `json:"created_at,omitzero"`
}

// Resume is the last command of recovery to run the job again.
type Resume struct {
	// Asked is how often recovery has asked in all.
	Asked int64 `json:"asked"`
	// Attempt is the attempt that the job was in when it last asked.
	Attempt int32 `json:"attempt"`
	// Until is when that command expires.
	Until time.Time `json:"until,omitzero"`
}

func statusOf(r *Record) Status {
	if r == nil {
		return Status{}
	}
	v := &r.View
	s := Status{
		Known: true, State: job.StateName(v.State), Terminal: job.Terminal(v.State), Final: v.Final,
		Attempt: v.Attempt, Stage: v.Stage, Ordinal: v.Ordinal, StageDone: v.StageDone, At: v.OccurredAt, Detail: v.Detail,
		Delayed: v.Delayed, DelayReason: v.DelayReason, Vanished: v.Vanished,
		Owner: r.Owner, Tenant: r.Tenant, Correlation: r.CorrelationID, OutputURI: r.OutputURI,
		StartedAt: r.StartedAt, Revision: r.Revision, UpdatedAt: r.UpdatedAt, UpdatedBy: r.UpdatedBy, CheckAfter: r.CheckAfter,
	}
	if s.Terminal {
		s.Evidence = job.EvidenceName(v.Evidence)
	}
	if c := v.Cause; c.Cause != job.CauseUnspecified {
		s.Cause = &Cause{
			Cause: job.CauseName(c.Cause), Message: c.Message, Reason: c.Reason,
			Pod: c.Pod, Container: c.Container, ExitCode: c.ExitCode, Node: c.Node,
		}
	}
	if k := r.Kubernetes; k.UID != "" {
		s.Kubernetes = &Kubernetes{Cluster: k.Cluster, Namespace: k.Namespace, Name: k.Name, UID: k.UID, CreatedAt: k.CreatedAt}
	}
	if r.Resumes > 0 {
		s.Resume = &Resume{Asked: r.Resumes, Attempt: r.ResumeAttempt, Until: r.ResumeUntil}
	}
	return s
}

// over reports whether what belongs to this place in the pipeline can no longer
// go on: the job has ended, or has moved on to a later attempt or stage.
func (s *Status) over(attempt, ordinal int32) bool {
	switch {
	case !s.Known:
		return false
	case s.Terminal, attempt < s.Attempt:
		return true
	default:
		return attempt == s.Attempt && ordinal < s.Ordinal
	}
}
