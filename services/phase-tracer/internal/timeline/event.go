package timeline

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// event is one phase event with what pairing needs of it.
type event struct {
	*resiliencyv1.PhaseEvent

	at        time.Time
	kind      kind
	witnesses []Witness
}

// kind ranks the events of one moment: a phase begins before it goes on, and goes
// on before it ends.
type kind uint8

const (
	kindStarted kind = iota
	kindProgressed
	kindEnded
	kindMoment
)

func kindOf(e *resiliencyv1.PhaseEvent) kind {
	switch e.GetEvent().(type) {
	case *resiliencyv1.PhaseEvent_Started:
		return kindStarted
	case *resiliencyv1.PhaseEvent_Progressed:
		return kindProgressed
	case *resiliencyv1.PhaseEvent_Ended:
		return kindEnded
	default:
		return kindMoment
	}
}

// events are the phases of the input in the order of time. The same event twice is
// one, told by the witnesses of both.
func events(phases []Phase) []event {
	out := make([]event, 0, len(phases))
	at := make(map[string]int, len(phases))
	for i := range phases {
		e := phases[i].Event
		if e == nil {
			continue
		}
		if first, again := at[e.GetEventId()]; again && e.GetEventId() != "" {
			out[first].witnesses = merge(out[first].witnesses, phases[i].Witnesses)
			continue
		}
		at[e.GetEventId()] = len(out)
		out = append(out, event{e, e.GetOccurredAt().AsTime(), kindOf(e), merge(nil, phases[i].Witnesses)})
	}
	slices.SortFunc(out, func(a, b event) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.kind, b.kind), strings.Compare(a.GetEventId(), b.GetEventId()))
	})
	return out
}

// merge joins two lists of witnesses, sorted; of one source the first to be heard
// stays.
func merge(a, b []Witness) []Witness {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(a, b Witness) int {
		return cmp.Or(strings.Compare(a.Source, b.Source), a.ReceivedAt.Compare(b.ReceivedAt), strings.Compare(a.Reporter, b.Reporter))
	})
	return slices.CompactFunc(all, func(a, b Witness) bool { return a.Source == b.Source })
}

// ahead is by how much the event was received before it happened, by its
// reporter's clock; 0 when it was not.
func (e *event) ahead() time.Duration {
	var most time.Duration
	for i := range e.witnesses {
		if at := e.witnesses[i].ReceivedAt; !at.IsZero() {
			most = max(most, e.at.Sub(at))
		}
	}
	if most <= clockTolerance {
		return 0
	}
	return most
}

func causeOf(c *resiliencyv1.CauseDetail) *Cause {
	if c.GetCause() == job.CauseUnspecified && c.GetMessage() == "" {
		return nil
	}
	return &Cause{
		Cause: job.CauseName(c.GetCause()), Message: c.GetMessage(), Reason: c.GetReason(),
		Pod: c.GetPod(), Container: c.GetContainer(), ExitCode: c.ExitCode, Node: c.GetNode(),
	}
}
