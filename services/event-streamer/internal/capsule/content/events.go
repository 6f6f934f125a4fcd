package content

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	corev1 "k8s.io/api/core/v1"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/redact"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

const (
	// maxEvents is how many Events are looked at.
	maxEvents = 100
	maxName   = 256
)

// notes turns Events into what a capsule says of them, oldest first.
func notes(events []corev1.Event) []*resiliencyv1.KubernetesNote {
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b corev1.Event) int {
		return cmp.Or(seenAt(&a).Compare(seenAt(&b)), cmp.Compare(a.Name, b.Name))
	})
	events = events[max(0, len(events)-maxEvents):]
	all := make([]*resiliencyv1.KubernetesNote, 0, len(events))
	for i := range events {
		e := &events[i]
		count := e.Count
		if e.Series != nil {
			count = max(count, e.Series.Count)
		}
		n := &resiliencyv1.KubernetesNote{
			Object: line(e.InvolvedObject.Kind+"/"+e.InvolvedObject.Name, maxName),
			Type:   line(e.Type, maxName), Reason: line(e.Reason, maxName),
			Message: line(e.Message, job.MaxMessageBytes), Count: count,
		}
		if at := seenAt(e); !at.IsZero() {
			n.At = timestamppb.New(at)
		}
		all = append(all, n)
	}
	return all
}

// newest keeps the newest notes that fit into limit bytes.
func newest(all []*resiliencyv1.KubernetesNote, limit int) []*resiliencyv1.KubernetesNote {
	for i := len(all) - 1; i >= 0; i-- {
		if limit -= proto.Size(all[i]) + 4; limit < 0 {
			return all[i+1:]
		}
	}
	return all
}

// seenAt is when an Event was last seen. Which field says so depends on who wrote it.
func seenAt(e *corev1.Event) time.Time {
	at := e.LastTimestamp.Time
	if e.Series != nil && e.Series.LastObservedTime.After(at) {
		at = e.Series.LastObservedTime.Time
	}
	for _, t := range []time.Time{e.EventTime.Time, e.FirstTimestamp.Time, e.CreationTimestamp.Time} {
		if at.IsZero() {
			at = t
		}
	}
	return at.UTC()
}

// line makes a text of whatever length one line of at most limit bytes.
func line(s string, limit int) string {
	// Cut before as well: what is redacted costs time by its length.
	s = redact.String(job.Cut(s, 4*limit))
	return job.Cut(strings.Join(strings.Fields(s), " "), limit)
}
