package phases

import (
	"maps"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// Limits of what is stored of one event, in bytes unless said otherwise. Firestore
// bounds a document at 1 MiB with all that is in it.
const (
	maxPhaseName = 128
	maxName      = 253
	maxDetails   = 32 // entries
	maxLogs      = 16 // containers
	maxLogBytes  = 256 << 10
	maxPodStatus = 64 << 10
	maxNotes     = 100 // Events of Kubernetes, the newest
	maxNoteBytes = 64 << 10
	// maxUnknown is how much of fields of a later release is kept, of all messages
	// in an event together.
	maxUnknown = 16 << 10
)

// truncatedDetail tells, among the details of a phase, what was cut.
const truncatedDetail = "truncated"

// boundPhase cuts an event to size. What is cut of a log is its beginning.
func boundPhase(e *resiliencyv1.PhaseEvent) {
	boundTimes(e)
	before := proto.Size(e)
	boundUnknown(e)
	e.Name, e.Message = job.Cut(e.GetName(), maxPhaseName), job.Cut(e.GetMessage(), job.MaxMessageBytes)
	e.CorrelationId, e.EventId = job.Cut(e.GetCorrelationId(), maxName), job.Cut(e.GetEventId(), maxName)
	boundDetails(e)
	switch c := e.GetEvent().(type) {
	case *resiliencyv1.PhaseEvent_Progressed:
		c.Progressed.Unit = job.Cut(c.Progressed.GetUnit(), maxPhaseName)
	case *resiliencyv1.PhaseEvent_Ended:
		boundCause(c.Ended.GetCause())
	case *resiliencyv1.PhaseEvent_Noted:
		boundCause(c.Noted.GetCause())
		boundKubernetes(c.Noted.GetKubernetes())
	case *resiliencyv1.PhaseEvent_FailureCaptured:
		boundCapsule(c.FailureCaptured)
	case *resiliencyv1.PhaseEvent_RecoveryJudged:
		j := c.RecoveryJudged
		j.RunId, j.Rule = job.Cut(j.GetRunId(), maxName), job.Cut(j.GetRule(), maxName)
		j.Reasoning = job.Cut(j.GetReasoning(), job.MaxDetailBytes)
	case *resiliencyv1.PhaseEvent_DeadLettered:
		d := c.DeadLettered
		d.LetterId, d.Subscription = job.Cut(d.GetLetterId(), maxName), job.Cut(d.GetSubscription(), maxName)
		d.Reason, d.Category = job.Cut(d.GetReason(), job.MaxMessageBytes), job.Cut(d.GetCategory(), maxName)
	}
	if proto.Size(e) < before {
		if e.Details == nil {
			e.Details = make(map[string]string, 1)
		}
		e.Details[truncatedDetail] = "longer than the contract allows; the rest was not stored"
	}
}

func boundUpdate(u *resiliencyv1.JobUpdate) {
	boundUnknown(u)
	boundTimes(u)
	u.Text, u.CorrelationId = job.Cut(u.GetText(), 4*job.MaxMessageBytes), job.Cut(u.GetCorrelationId(), maxName)
	u.EventId = job.Cut(u.GetEventId(), maxName)
	boundCause(u.GetCause())
	boundKubernetes(u.GetKubernetes())
	if d := u.GetDescription(); d != nil {
		d.Owner, d.Tenant = job.Cut(d.GetOwner(), job.MaxMessageBytes), job.Cut(d.GetTenant(), job.MaxMessageBytes)
		d.OutputUri = job.Cut(d.GetOutputUri(), job.MaxMessageBytes)
	}
	if d := u.GetDelayed(); d != nil {
		d.Reason = job.Cut(d.GetReason(), job.MaxMessageBytes)
	}
}

// boundDetails keeps the first details by name.
func boundDetails(e *resiliencyv1.PhaseEvent) {
	if len(e.GetDetails()) == 0 {
		return
	}
	kept := make(map[string]string, min(len(e.Details), maxDetails)+1)
	for _, k := range slices.Sorted(maps.Keys(e.Details)) {
		if len(kept) == maxDetails {
			break
		}
		kept[job.Cut(k, maxPhaseName)] = job.Cut(e.Details[k], job.MaxMessageBytes)
	}
	e.Details = kept
}

func boundCause(c *resiliencyv1.CauseDetail) {
	if c == nil {
		return
	}
	c.Message, c.Reason = job.Cut(c.GetMessage(), job.MaxMessageBytes), job.Cut(c.GetReason(), job.MaxMessageBytes)
	c.Pod, c.Container, c.Node = job.Cut(c.GetPod(), maxName), job.Cut(c.GetContainer(), maxName), job.Cut(c.GetNode(), maxName)
}

func boundKubernetes(k *resiliencyv1.KubernetesRef) {
	if k == nil {
		return
	}
	k.Cluster, k.Namespace = job.Cut(k.GetCluster(), maxName), job.Cut(k.GetNamespace(), maxName)
	k.Name, k.Uid = job.Cut(k.GetName(), maxName), job.Cut(k.GetUid(), maxName)
}

func boundCapsule(c *resiliencyv1.FailureCaptured) {
	c.Pod, c.Node = job.Cut(c.GetPod(), maxName), job.Cut(c.GetNode(), maxName)
	c.Uri, c.Incomplete = job.Cut(c.GetUri(), 2*job.MaxMessageBytes), job.Cut(c.GetIncomplete(), 4*job.MaxMessageBytes)
	c.PodStatusJson = job.Cut(c.GetPodStatusJson(), maxPodStatus)
	c.Logs = c.GetLogs()[:min(len(c.GetLogs()), maxLogs)]
	share := maxLogBytes / max(len(c.Logs), 1)
	for _, l := range c.GetLogs() {
		l.Container = job.Cut(l.GetContainer(), maxName)
		if tail := tail(l.GetTail(), share); len(tail) < len(l.GetTail()) {
			l.Tail, l.Truncated = tail, true
		}
	}
	c.Events = newestNotes(c.GetEvents())
}

// newestNotes keeps what Kubernetes said last: the list is oldest first, and the end is
// what tells why.
func newestNotes(all []*resiliencyv1.KubernetesNote) []*resiliencyv1.KubernetesNote {
	all = all[max(0, len(all)-maxNotes):]
	left := maxNoteBytes
	for i, n := range slices.Backward(all) {
		n.Object, n.Message = job.Cut(n.GetObject(), 2*maxName), job.Cut(n.GetMessage(), job.MaxMessageBytes)
		n.Type, n.Reason = job.Cut(n.GetType(), maxName), job.Cut(n.GetReason(), maxName)
		if left -= proto.Size(n); left < 0 {
			return all[i+1:]
		}
	}
	return all
}

// tail keeps the last bytes of a text, from the beginning of a character.
func tail(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	from := len(s) - limit
	for from < len(s) && !utf8.RuneStart(s[from]) {
		from++
	}
	return s[from:]
}

// boundUnknown drops all that a later release added, at the top and below, when it is
// much: nothing here can tell where to cut it. The sum counts, since a list can
// have many messages with a little each.
func boundUnknown(m proto.Message) {
	size := 0
	messages(m.ProtoReflect(), func(r protoreflect.Message) { size += len(r.GetUnknown()) })
	if size > maxUnknown {
		messages(m.ProtoReflect(), func(r protoreflect.Message) { r.SetUnknown(nil) })
	}
}

// boundTimes drops times that are none: no form of the contract could show them.
func boundTimes(m proto.Message) {
	messages(m.ProtoReflect(), func(r protoreflect.Message) {
		r.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			if field.IsList() || field.IsMap() || field.Kind() != protoreflect.MessageKind {
				return true
			}
			if at, ok := v.Message().Interface().(*timestamppb.Timestamp); ok && !at.IsValid() {
				r.Clear(field)
			}
			return true
		})
	})
}

// messages calls f for a message and for all that are in it.
func messages(r protoreflect.Message, f func(protoreflect.Message)) {
	f(r)
	r.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.IsMap() || field.Kind() != protoreflect.MessageKind:
		case field.IsList():
			for i := range v.List().Len() {
				messages(v.List().Get(i).Message(), f)
			}
		default:
			messages(v.Message(), f)
		}
		return true
	})
}
