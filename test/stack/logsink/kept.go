package logsink

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// KeptEvent is an Event that tells the end of a Job, as the control plane kept
// it. Kubernetes drops Events under load, so there are fewer than ended Jobs.
type KeptEvent struct {
	// Namespace, Name and UID are the Job's.
	Namespace, Name string
	UID             types.UID
	// Reason is the Event's, "Completed" or why the Job failed.
	Reason string
}

// Completed tells success from failure.
func (k KeptEvent) Completed() bool { return k.Reason == reasonCompleted }

const reasonCompleted = "Completed"

// endReasons are those that the Job controller ends a Job with; a failure's is
// the reason of the Job's Failed condition.
// Source: pkg/controller/job/job_controller.go of Kubernetes, recordJobFinished.
var endReasons = []string{
	reasonCompleted, "BackoffLimitExceeded", "DeadlineExceeded", "PodFailurePolicy", "FailedIndexes", "MaxFailedIndexesExceeded",
}

// keep remembers an exported Event if it tells the end of a Job.
func (s *Sink) keep(event *corev1.Event) {
	object := event.InvolvedObject
	if object.Kind != "Job" || !slices.Contains(endReasons, event.Reason) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[object.UID] = KeptEvent{Namespace: object.Namespace, Name: object.Name, UID: object.UID, Reason: event.Reason}
}

// KeptEvents lists the Jobs whose end the control plane told in an Event that
// passed the filter, one each, by namespace and name. Loss by the sink's faults
// plays no part.
func (s *Sink) KeptEvents() []KeptEvent {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := make([]KeptEvent, 0, len(s.kept))
	for _, k := range s.kept {
		kept = append(kept, k)
	}
	slices.SortFunc(kept, func(a, b KeptEvent) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
	})
	return kept
}
