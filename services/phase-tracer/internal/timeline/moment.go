package timeline

import (
	"cmp"
	"slices"
	"strings"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// Limits of the lists of a timeline; the newest are kept.
const (
	maxCapsules = 20
	maxListed   = 200
)

// moment is the span of an event that has no length; what it tells at length goes
// into the timeline's lists.
func (t *Timeline) moment(e *event) draft {
	d := draft{attempt: e.GetAttempt(), stage: e.GetStage().GetName(), ordinal: e.GetStage().GetOrdinal()}
	s := &d.span
	s.ID, s.Name, s.Sequence, s.Moment = e.GetEventId(), e.GetName(), e.GetSequence(), true
	s.Start, s.End, s.ReportedStart, s.State = e.at, e.at, e.at, StateInfo
	s.tell(e)
	switch c := e.GetEvent().(type) {
	case *resiliencyv1.PhaseEvent_Noted:
		s.State, s.Cause = level(c.Noted.GetLevel()), causeOf(c.Noted.GetCause())
	case *resiliencyv1.PhaseEvent_Corrected:
		s.State = StateWarning
		t.Corrections = append(t.Corrections, correction(e, c.Corrected))
	case *resiliencyv1.PhaseEvent_FailureCaptured:
		s.State = StateError
		t.Capsules = append(t.Capsules, capsule(e, c.FailureCaptured))
	case *resiliencyv1.PhaseEvent_RecoveryJudged:
		s.State = StateWarning
		t.Judgements = append(t.Judgements, judgement(e, c.RecoveryJudged))
	case *resiliencyv1.PhaseEvent_DeadLettered:
		s.State = StateError
		t.died(e, c.DeadLettered)
	default:
		s.Marks = append(s.Marks, MarkUnknownKind)
	}
	if statusFact(e) {
		t.Facts = append(t.Facts, Fact{
			At: e.at, Attempt: d.attempt, Stage: d.stage, What: cmp.Or(e.GetMessage(), e.GetName()), SpanID: s.ID, Witnesses: s.Witnesses,
		})
	}
	return d
}

// statusFact reports whether a moment says something of the job's status: the
// conditions of its Kubernetes Job, its deletion, a verdict and its correction.
func statusFact(e *event) bool {
	return strings.HasPrefix(e.GetName(), "job.") || e.GetRecoveryJudged().GetVerdict() != job.StateUnspecified
}

func level(l resiliencyv1.NoteLevel) State {
	switch l {
	case resiliencyv1.NoteLevel_NOTE_LEVEL_WARNING:
		return StateWarning
	case resiliencyv1.NoteLevel_NOTE_LEVEL_ERROR:
		return StateError
	default:
		return StateInfo
	}
}

func correction(e *event, c *resiliencyv1.StatusCorrected) Correction {
	return Correction{
		SpanID: e.GetEventId(), At: e.at, Message: e.GetMessage(), Revision: c.GetRevision(),
		FromState: job.StateName(c.GetFromState()), FromEvidence: evidence(c.GetFromEvidence()),
		ToState: job.StateName(c.GetToState()), ToEvidence: evidence(c.GetToEvidence()),
	}
}

func evidence(e job.Evidence) string {
	if e == job.EvidenceNone {
		return ""
	}
	return job.EvidenceName(e)
}

func capsule(e *event, c *resiliencyv1.FailureCaptured) Capsule {
	out := Capsule{
		SpanID: e.GetEventId(), At: e.at, Attempt: e.GetAttempt(), Stage: e.GetStage().GetName(),
		Pod: c.GetPod(), Node: c.GetNode(), Status: c.GetPodStatusJson(), Incomplete: c.GetIncomplete(), URI: c.GetUri(),
	}
	for _, l := range c.GetLogs() {
		out.Logs = append(out.Logs, Log{
			Container: l.GetContainer(), Previous: l.GetPrevious(), Tail: l.GetTail(), Truncated: l.GetTruncated(),
		})
	}
	for _, n := range c.GetEvents() {
		said := KubernetesEvent{Object: n.GetObject(), Type: n.GetType(), Reason: n.GetReason(), Message: n.GetMessage(), Count: n.GetCount()}
		if n.GetAt().IsValid() {
			said.At = n.GetAt().AsTime()
		}
		out.Events = append(out.Events, said)
	}
	return out
}

func judgement(e *event, j *resiliencyv1.RecoveryJudged) Judgement {
	out := Judgement{
		SpanID: e.GetEventId(), At: e.at, Sentence: e.GetMessage(), Reasoning: j.GetReasoning(),
		RunID: j.GetRunId(), Rule: j.GetRule(), Evidence: evidence(j.GetEvidence()), Action: e.GetDetails()["action"],
	}
	if j.GetVerdict() != job.StateUnspecified {
		out.Verdict = job.StateName(j.GetVerdict())
	}
	if j.GetNextCheckAt().IsValid() {
		out.NextCheckAt = j.GetNextCheckAt().AsTime()
	}
	return out
}

// died adds a dead letter that the phase tells of, unless the store of letters,
// which knows more of it, has told of it.
func (t *Timeline) died(e *event, d *resiliencyv1.DeadLettered) {
	if slices.ContainsFunc(t.Letters, func(l Letter) bool { return l.ID == d.GetLetterId() }) {
		return
	}
	t.Letters = append(t.Letters, Letter{
		ID: d.GetLetterId(), Subscription: d.GetSubscription(), Reason: d.GetReason(), Category: d.GetCategory(),
		Count: 1, FirstSeenAt: e.at, LastSeenAt: e.at,
	})
}

// sent lists the updates in the order of the revisions that they tell of.
func sent(updates []Update) []Sent {
	out := make([]Sent, 0, len(updates))
	seen := make(map[string]bool, len(updates))
	for _, u := range updates {
		e := u.Event
		if e == nil || seen[e.GetEventId()] {
			continue
		}
		seen[e.GetEventId()] = true
		out = append(out, Sent{
			ID: e.GetEventId(), At: e.GetOccurredAt().AsTime(), SentAt: u.SentAt, Revision: e.GetRevision(),
			Kind: updateKind(e), State: job.StateName(e.GetState()), Evidence: evidence(e.GetEvidence()), Text: e.GetText(),
			By: job.SourceName(e.GetSource()),
		})
	}
	slices.SortFunc(out, func(a, b Sent) int {
		return cmp.Or(cmp.Compare(a.Revision, b.Revision), a.At.Compare(b.At), strings.Compare(a.ID, b.ID))
	})
	return out
}

func updateKind(u *resiliencyv1.JobUpdate) string {
	m := u.ProtoReflect()
	if field := m.WhichOneof(m.Descriptor().Oneofs().ByName("event")); field != nil {
		return string(field.Name())
	}
	return "unknown"
}

// newest keeps the last of a list that is in the order of time.
func newest[T any](list []T, limit int) []T { return list[max(0, len(list)-limit):] }
