package content

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	corev1 "k8s.io/api/core/v1"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/kube"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// PhaseName is the name of the phase that carries a capsule.
const PhaseName = "pod.capsule"

// Limits are the bytes that the parts of a capsule may take.
type Limits struct{ Status, Logs, Events int }

// InEvent is what goes into a message, and from there into a record of the
// timeline, which a page shows as it is.
func InEvent() Limits { return Limits{Status: 8 << 10, Logs: 24 << 10, Events: 8 << 10} }

// InBucket is the whole capsule.
func InBucket() Limits { return Limits{Status: 64 << 10, Logs: 256 << 10, Events: 64 << 10} }

// maxIncomplete is how long the list of what is missing gets.
const maxIncomplete = 1 << 10

// Found is what was got of a failed pod.
type Found struct {
	Pod, Node string
	// Status is nil when the pod was gone.
	Status *corev1.PodStatus
	Events []corev1.Event
	// Logs are redacted, as Tail gives them.
	Logs []*resiliencyv1.ContainerLog
	// Missing says what could not be got and why, a few words each.
	Missing []string
}

// Draft is what was found, redacted once and ready to be cut.
type Draft struct {
	found  *Found
	status *status
	events []*resiliencyv1.KubernetesNote
}

// Draft redacts what was found.
func (f *Found) Draft() *Draft {
	return &Draft{found: f, status: newStatus(f.Status), events: notes(f.Events)}
}

// Lack notes what could not be got.
func (f *Found) Lack(what, why string) { f.Missing = append(f.Missing, what+": "+why) }

// Incomplete is what is missing, in one line.
func (f *Found) Incomplete() string { return line(strings.Join(f.Missing, "; "), maxIncomplete) }

// Capsule gives the message, cut to size.
func (d *Draft) Capsule(l Limits) *resiliencyv1.FailureCaptured {
	f := d.found
	return &resiliencyv1.FailureCaptured{
		Pod: line(f.Pod, maxName), Node: line(f.Node, maxName),
		PodStatusJson: d.status.json(l.Status),
		Logs:          fit(f.Logs, l.Logs),
		Incomplete:    f.Incomplete(),
		Events:        newest(d.events, l.Events),
	}
}

// fit shares limit bytes among logs; what a short one leaves, the long ones get.
func fit(logs []*resiliencyv1.ContainerLog, limit int) []*resiliencyv1.ContainerLog {
	bySize := make([]int, len(logs))
	for i := range logs {
		bySize[i] = i
	}
	slices.SortStableFunc(bySize, func(a, b int) int { return cmp.Compare(len(logs[a].GetTail()), len(logs[b].GetTail())) })
	fitted := make([]*resiliencyv1.ContainerLog, len(logs))
	for n, i := range bySize {
		log := proto.CloneOf(logs[i])
		tail, cut := lastLines(log.GetTail(), limit/(len(logs)-n))
		log.Tail, log.Truncated = tail, log.GetTruncated() || cut
		limit -= len(tail)
		fitted[i] = log
	}
	return fitted
}

// Failure is what the capsule is of: the end of a pod, or of a run of one of its
// containers.
type Failure struct {
	// Head is what every claim about the Job carries.
	Head job.Observation
	Pod  *kube.Pod
	// At is when it failed, as the object tells it.
	At time.Time
}

// EventID is the id of the capsule: whoever takes it, and however often, it is
// one fact.
func (f *Failure) EventID() string {
	return job.EventID(f.Head.Kubernetes.Cluster, f.Head.Kubernetes.UID, PhaseName, string(f.Pod.UID), job.TimePart(f.moment()))
}

// Object is the name of the capsule in the bucket, of safe characters only.
func (f *Failure) Object() string {
	return strings.Join([]string{
		"capsules", f.Head.JobID, strconv.Itoa(int(f.Head.Attempt)),
		string(f.Pod.UID) + "-" + f.moment().Format("20060102T150405Z") + ".json",
	}, "/")
}

// moment is cut as the Kubernetes API gives it.
func (f *Failure) moment() time.Time { return f.At.UTC().Truncate(time.Second) }

// Phase gives the phase that carries a capsule.
func (f *Failure) Phase(c *resiliencyv1.FailureCaptured) *resiliencyv1.PhaseEvent {
	p := &resiliencyv1.PhaseEvent{
		EventId: f.EventID(), OccurredAt: timestamppb.New(f.moment()),
		JobId: f.Head.JobID, Attempt: f.Head.Attempt,
		Stage:         &resiliencyv1.Stage{Name: f.Head.Stage, Ordinal: f.Head.Ordinal},
		CorrelationId: f.Head.CorrelationID, Source: f.Head.Source, Reporter: f.Head.Reporter,
		Name: PhaseName, Details: map[string]string{"pod": c.GetPod()},
		Event: &resiliencyv1.PhaseEvent_FailureCaptured{FailureCaptured: c},
	}
	why := "failed"
	if cause := f.cause(); cause != nil {
		why = line(cause.Message, job.MaxMessageBytes/2)
		p.Details["cause"] = job.CauseName(cause.Cause)
	}
	p.Message = job.Cut("Pod "+c.GetPod()+": "+why, job.MaxMessageBytes)
	for key, value := range map[string]string{"node": c.GetNode(), "index": f.Pod.Index} {
		if value != "" {
			p.Details[key] = value
		}
	}
	return p
}

// cause is the most telling one of those that made the pod fail.
func (f *Failure) cause() *job.CauseDetail {
	for i := range f.Pod.Causes {
		if c := &f.Pod.Causes[i]; !c.Waiting {
			return &c.CauseDetail
		}
	}
	return nil
}
