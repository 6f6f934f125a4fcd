package logentry

import (
	"regexp"
	"strings"
	"time"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/kube"
)

// Event is an Event of Kubernetes as GKE's event-exporter writes it: core/v1
// JSON without count and firstTimestamp.
type Event struct {
	Metadata struct {
		UID               string `json:"uid"`
		CreationTimestamp Time   `json:"creationTimestamp"`
	} `json:"metadata"`
	InvolvedObject Object `json:"involvedObject"`
	Reason         string `json:"reason"`
	Message        string `json:"message"`
	Source         struct {
		Component string `json:"component"`
		Host      string `json:"host"`
	} `json:"source"`
	ReportingComponent string `json:"reportingComponent"`
	LastTimestamp      Time   `json:"lastTimestamp"`
	EventTime          Time   `json:"eventTime"`
	Series             struct {
		LastObservedTime Time `json:"lastObservedTime"`
	} `json:"series"`
}

// Object names what an Event is about. Kubernetes sees to it that the namespace
// is the Event's own, and checks nothing else of it.
type Object struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
}

// At is when it happened, to the second as the claims of the watchers are; zero
// when the Event has no time at all. The time of the entry never stands in:
// Cloud Logging makes one up.
func (e *Event) At() time.Time {
	for _, t := range []Time{e.LastTimestamp, e.Series.LastObservedTime, e.EventTime, e.Metadata.CreationTimestamp} {
		if !t.IsZero() {
			return t.Truncate(time.Second)
		}
	}
	return time.Time{}
}

// from reports whether a component of Kubernetes recorded the Event. Others
// record Events about Jobs too, in the same words: queueing controllers do.
func (e *Event) from(component string) bool {
	return e.Source.Component == component || e.ReportingComponent == component
}

// combined begins the message of an Event that stands for several like it.
const combined = "(combined from similar events)"

// Says is what an Event says about a job.
type Says uint8

const (
	// SaysNothing means that nothing follows from it for a job.
	SaysNothing Says = iota
	// SaysCompleted means that a Job's condition Complete is True.
	SaysCompleted
	// SaysFailed means that a Job's condition Failed is True.
	SaysFailed
	// SaysPodCreated means that a Job got a pod: the only place where an Event
	// ties the name of a pod to the UID of a Job.
	SaysPodCreated
	// SaysPodDisrupted means that a pod is taken away before its end.
	SaysPodDisrupted
)

// Why an Event says nothing, as metrics name it.
const (
	// WhyNoClaim: known to prove nothing about how a job stands.
	WhyNoClaim = "no_claim"
	// WhyUnknownReason: a reason that this release does not know.
	WhyUnknownReason = "unknown_reason"
	// WhyOtherComponent: not from the component whose word counts.
	WhyOtherComponent = "other_component"
	// WhyCombined: stands for several Events.
	WhyCombined = "combined"
	// WhyNoTime: has no time.
	WhyNoTime = "no_time"
)

// Statement is what an Event says.
type Statement struct {
	Says Says
	// Why is set for SaysNothing.
	Why string
	// At is when it became true, to the second.
	At time.Time
	// Cause is set for SaysFailed and SaysPodDisrupted.
	Cause job.CauseDetail
	// Pod is the name of the pod that was created or disrupted.
	Pod string
	// Detail is one line for a person, for an end.
	Detail string
	// Subject is the UID of the object that the Event is about.
	Subject string
}

// Statement reads the Event of a Job or pod; of anything else it says nothing.
func (e *Event) Statement() Statement {
	s := Statement{At: e.At(), Subject: e.InvolvedObject.UID}
	switch e.InvolvedObject.Kind {
	case "Job":
		e.ofJob(&s)
	case "Pod":
		e.ofPod(&s)
	default:
		s.Why = WhyNoClaim
	}
	if s.Says != SaysNothing {
		e.doubt(&s)
	}
	return s
}

// doubt takes back what cannot be relied on.
func (e *Event) doubt(s *Statement) {
	switch {
	case strings.HasPrefix(e.Message, combined):
		*s = Statement{Why: WhyCombined}
	case s.At.IsZero():
		*s = Statement{Why: WhyNoTime}
	}
}

// The reasons of the Job controller. Completed and those of a failure are
// recorded once the condition is stored, with the condition's own words; the
// time is the condition's or a moment later.
//
// Suspended and Resumed are recorded before the status is written, which may
// yet fail; and in whole seconds they cannot be placed between the claims of the
// watchers. FailedCreate is tried again. A pod created or deleted is no state of
// the Job. All of these prove nothing that a record should hold.
// Source: kubernetes v1.36.3, pkg/controller/job and controller_utils.go.
func (e *Event) ofJob(s *Statement) {
	if !e.from("job-controller") {
		s.Why = WhyOtherComponent
		return
	}
	switch e.Reason {
	case "Completed":
		s.Says, s.Detail = SaysCompleted, e.detail()
	case "BackoffLimitExceeded", "DeadlineExceeded", "PodFailurePolicy", "FailedIndexes", "MaxFailedIndexesExceeded":
		s.Says, s.Detail = SaysFailed, e.detail()
		s.Cause = kube.FailureCause(e.Reason, e.Message)
	case "SuccessfulCreate":
		pod, ok := strings.CutPrefix(e.Message, "Created pod: ")
		if !ok {
			s.Why = WhyNoClaim
			return
		}
		s.Says, s.Pod = SaysPodCreated, pod
	case "SuccessfulDelete", "Suspended", "Resumed", "FailedCreate", "FailedDelete", "TooManySucceededPods",
		"UnknownCompletionMode", "WorkloadCreated":
		s.Why = WhyNoClaim
	default:
		s.Why = WhyUnknownReason
	}
}

// detail is the Event in one line. It begins with a quotation mark, which ranks
// below every letter: of two reports of one end at one moment the watchers' own
// holds, and the Event is a repeat that changes nothing.
func (e *Event) detail() string {
	return job.Cut(`"`+e.Reason+`" Event: `+e.Message, job.MaxMessageBytes)
}

// ofPod knows what takes a pod away for good, whoever records it: schedulers
// have many names, and a cause never touches the status. What a pod waits for
// (room, an image) it may still get, and why a container failed stands in its
// status only: an out-of-memory kill makes no Event of the pod.
// Source: kubernetes v1.36.3, pkg/kubelet/eviction, pkg/scheduler, pkg/controller/tainteviction.
func (e *Event) ofPod(s *Statement) {
	var cause job.Cause
	switch e.Reason {
	case "Evicted":
		cause = job.CauseEvicted
	case "Preempted":
		cause = job.CausePreempted
	case "TaintManagerEviction":
		// The reason of giving the deletion up again, too.
		if !strings.HasPrefix(e.Message, "Marking for deletion") {
			s.Why = WhyNoClaim
			return
		}
		cause = job.CauseNodeLost
	case "FailedScheduling", "BackOff", "Failed", "Scheduled", "Pulling", "Pulled", "Created", "Started", "Killing",
		"FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "Unhealthy", "NotTriggerScaleUp", "TriggeredScaleUp":
		s.Why = WhyNoClaim
		return
	default:
		s.Why = WhyUnknownReason
		return
	}
	s.Says, s.Pod = SaysPodDisrupted, e.InvolvedObject.Name
	s.Cause = job.CauseDetail{
		Cause: cause, Reason: e.Reason, Message: strings.TrimSpace(e.Message), Pod: s.Pod, Node: e.node(),
	}
}

// onNode is how the scheduler names the node in its messages.
var onNode = regexp.MustCompile(` on node (\S+)$`)

func (e *Event) node() string {
	if e.Source.Host != "" {
		return e.Source.Host
	}
	if m := onNode.FindStringSubmatch(e.Message); m != nil {
		return m[1]
	}
	return ""
}
