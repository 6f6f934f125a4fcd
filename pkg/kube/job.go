package kube

import (
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Job is what matters of a batch/v1 Job. It carries its metadata, so caches
// and tools that want a metav1.Object take it; labels and annotations are read
// into fields and not kept beside them.
type Job struct {
	metav1.ObjectMeta

	// JobID to TraceParent are the product's label and annotations as they are;
	// nothing is checked before a Mapper does.
	JobID         string
	Attempt       string
	CorrelationID string
	Owner         string
	OutputURI     string
	StageFinal    string
	TraceParent   string

	// Suspend is spec.suspend.
	Suspend bool
	// PodReady says that status.ready counts at least one pod.
	PodReady bool
	// PodEnded says that at least one pod has ended, counted or not yet.
	PodEnded bool
	// StartTime is status.startTime; zero when unset. A resume sets it anew.
	StartTime time.Time
	// CompletionTime is status.completionTime, which only a Complete Job has.
	CompletionTime time.Time
	// CompletedIndexes and FailedIndexes are those of an Indexed Job, as
	// "1,3-5,7"; cut, since there may be 100,000 of them.
	CompletedIndexes, FailedIndexes string
	Conditions                      []Condition
}

// Condition is one condition of a Job.
type Condition struct {
	Type    batchv1.JobConditionType
	True    bool
	Reason  string
	Message string
	// At is lastTransitionTime; zero when the controller gave none.
	At time.Time
}

// ReadJob takes from a Job what matters of it. Everything else, the pod
// template above all, is let go.
func ReadJob(o *batchv1.Job) *Job {
	s := &o.Status
	j := &Job{
		ObjectMeta:    slimMeta(&o.ObjectMeta),
		JobID:         o.Labels[LabelJobID],
		Attempt:       once(o.Annotations[AnnotationAttempt]),
		CorrelationID: o.Annotations[AnnotationCorrelationID],
		Owner:         once(o.Annotations[AnnotationOwner]),
		OutputURI:     o.Annotations[AnnotationOutputURI],
		StageFinal:    once(o.Annotations[AnnotationStageFinal]),
		TraceParent:   o.Annotations[AnnotationTraceParent],
		Suspend:       o.Spec.Suspend != nil && *o.Spec.Suspend,
		PodReady:      s.Ready != nil && *s.Ready > 0,
		PodEnded:      s.Succeeded > 0 || s.Failed > 0 || uncounted(s) > 0,
		StartTime:     timeOf(s.StartTime),
	}
	j.CompletionTime = timeOf(s.CompletionTime)
	j.CompletedIndexes = text(s.CompletedIndexes, maxMessage)
	if s.FailedIndexes != nil {
		j.FailedIndexes = text(*s.FailedIndexes, maxMessage)
	}
	if len(s.Conditions) > 0 {
		j.Conditions = make([]Condition, len(s.Conditions))
	}
	for i := range s.Conditions {
		c := &s.Conditions[i]
		j.Conditions[i] = Condition{
			Type: once(c.Type), True: c.Status == corev1.ConditionTrue,
			Reason: once(text(c.Reason, maxName)), Message: once(text(c.Message, maxMessage)), At: c.LastTransitionTime.Time,
		}
	}
	return j
}

// slimMeta keeps the metadata that identifies an object and dates it.
func slimMeta(m *metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: m.Name, Namespace: once(m.Namespace), UID: m.UID,
		ResourceVersion: m.ResourceVersion, Generation: m.Generation,
		CreationTimestamp:          m.CreationTimestamp,
		DeletionTimestamp:          m.DeletionTimestamp,
		DeletionGracePeriodSeconds: m.DeletionGracePeriodSeconds,
	}
}

func uncounted(s *batchv1.JobStatus) int {
	if u := s.UncountedTerminatedPods; u != nil {
		return len(u.Succeeded) + len(u.Failed)
	}
	return 0
}

// condition returns the condition of a type, nil when there is none.
func (j *Job) condition(t batchv1.JobConditionType) *Condition {
	for i := range j.Conditions {
		if j.Conditions[i].Type == t {
			return &j.Conditions[i]
		}
	}
	return nil
}

// holds returns the condition of a type if it is True, else nil.
func (j *Job) holds(t batchv1.JobConditionType) *Condition {
	if c := j.condition(t); c != nil && c.True {
		return c
	}
	return nil
}

// Ended reports whether the Job's own conditions say that it is over: Complete
// or Failed, which can neither be unset nor coexist.
func (j *Job) Ended() bool {
	return j.holds(batchv1.JobComplete) != nil || j.holds(batchv1.JobFailed) != nil
}

// Overdue reports whether the Job has failed, or is bound to, because it ran out
// of time. It is the one failure that pods bring about by waiting.
func (j *Job) Overdue() bool {
	for _, t := range []batchv1.JobConditionType{batchv1.JobFailed, batchv1.JobFailureTarget} {
		if c := j.holds(t); c != nil && c.Reason == batchv1.JobReasonDeadlineExceeded {
			return true
		}
	}
	return false
}

// latest is the latest moment that the object itself tells of.
func (j *Job) latest() time.Time {
	t := later(j.CreationTimestamp.Time, later(j.StartTime, j.CompletionTime))
	for i := range j.Conditions {
		t = later(t, j.Conditions[i].At)
	}
	return t
}

// at is the moment of a condition; a controller of another kind may leave it
// out, then the latest that the object tells of stands in.
func (j *Job) at(c *Condition) time.Time {
	if !c.At.IsZero() {
		return c.At
	}
	if c.Type == batchv1.JobComplete && !j.CompletionTime.IsZero() {
		return j.CompletionTime
	}
	return j.latest()
}

// maxGrace, in seconds, keeps an absurd grace period from overflowing a time.
const maxGrace = 1 << 31

// deletedAt is when deletion was asked for, zero when the object does not say.
// metadata.deletionTimestamp lies the grace period ahead of that, which may be
// hours: taken as it is, it would be a claim from the future.
func deletedAt(m *metav1.ObjectMeta) time.Time {
	if m.DeletionTimestamp == nil {
		return time.Time{}
	}
	t := m.DeletionTimestamp.Time
	if g := m.DeletionGracePeriodSeconds; g != nil && *g > 0 {
		t = t.Add(-time.Duration(min(*g, maxGrace)) * time.Second)
	}
	return later(t, m.CreationTimestamp.Time)
}

func timeOf(t *metav1.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// outputURI reports whether a value has the form gs://bucket/prefix/.
func outputURI(s string) bool {
	rest, ok := strings.CutPrefix(s, "gs://")
	if !ok || len(s) > maxURI || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '�' }) {
		return false
	}
	bucket, prefix, ok := strings.Cut(rest, "/")
	return ok && bucketName(bucket) && len(prefix) > 1 && prefix[0] != '/' && strings.HasSuffix(prefix, "/")
}

func bucketName(s string) bool {
	if len(s) < 3 || len(s) > 222 {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
	})
}
