package stack

import (
	"maps"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The product's label and annotations on a Job and on its pods.
const (
	LabelJobID              = "resiliency.envision.dev/job-id"
	AnnotationAttempt       = "resiliency.envision.dev/attempt"
	AnnotationCorrelationID = "resiliency.envision.dev/correlation-id"
	AnnotationOwner         = "resiliency.envision.dev/owner"
	AnnotationOutputURI     = "resiliency.envision.dev/output-uri"
	AnnotationStageFinal    = "resiliency.envision.dev/stage-final"
)

// The annotations by which a pod tells the simulation how it ends.
const (
	AnnotationOutcome  = "sim.resiliency.envision.dev/outcome"
	AnnotationSeconds  = "sim.resiliency.envision.dev/seconds"
	AnnotationExitCode = "sim.resiliency.envision.dev/exit-code"
)

// LabelRoom is the label that a node must have for pods of OutcomeUnschedulable;
// none has it until somebody makes room.
const LabelRoom = "sim.resiliency.envision.dev/no-such-node"

// Outcome is how the pods of a simulated Job end.
type Outcome string

// The outcomes that stages.yaml plays, but for the last.
const (
	// OutcomeSucceed ends with exit code 0; also what happens with none set.
	OutcomeSucceed Outcome = "succeed"
	// OutcomeExit ends with JobSpec.ExitCode.
	OutcomeExit Outcome = "exit"
	// OutcomeOOM ends with exit code 137 and reason OOMKilled.
	OutcomeOOM Outcome = "oom"
	// OutcomeEvict ends with pod reason Evicted and a DisruptionTarget condition.
	OutcomeEvict Outcome = "evict"
	// OutcomeImage never starts: ImagePullBackOff for ever.
	OutcomeImage Outcome = "image"
	// OutcomeHang runs for ever.
	OutcomeHang Outcome = "hang"
	// OutcomeUnschedulable stays Pending: no node has the label it asks for.
	OutcomeUnschedulable Outcome = "unschedulable"
)

// JobSpec describes a test Job. Namespace and Name are required.
type JobSpec struct {
	Namespace, Name string
	// JobID is the product's id; empty makes a Job that the product must ignore.
	JobID string
	// Attempt is left out when 0, so that the default (1) is exercised.
	Attempt                         int
	CorrelationID, Owner, OutputURI string
	// NotFinal marks the Kubernetes stage as one that does not end the job.
	NotFinal bool

	Outcome Outcome
	// After is how long a pod runs before it ends; 0 means the default of 1 s.
	After time.Duration
	// ExitCode of OutcomeExit; 0 means 1.
	ExitCode int

	// BackoffLimit is how often a failed pod is replaced.
	BackoffLimit int32
	// Completions and Parallelism are 1 when 0. Indexed gives each pod an index.
	Completions, Parallelism int32
	Indexed, Suspended       bool
	// TTL and ActiveDeadline are unset when 0 (TTL: negative means at once).
	TTL, ActiveDeadline time.Duration
	// Labels and Annotations are added to the Job's metadata only.
	Labels, Annotations map[string]string
}

// Job builds the object. Its pods tolerate everything, since simulated nodes
// carry a taint.
func Job(spec JobSpec) *batchv1.Job {
	labels, annotations := spec.metadata()
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: spec.Namespace, Name: spec.Name,
			Labels: merged(labels, spec.Labels), Annotations: merged(annotations, spec.Annotations),
		},
		Spec: batchv1.JobSpec{
			BackoffLimit: new(spec.BackoffLimit),
			Completions:  new(max(1, spec.Completions)),
			Parallelism:  new(max(1, spec.Parallelism)),
			Suspend:      new(spec.Suspended),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: merged(annotations, spec.simulation())},
				Spec:       spec.pod(),
			},
		},
	}
	if spec.Indexed {
		job.Spec.CompletionMode = new(batchv1.IndexedCompletion)
	}
	if spec.TTL != 0 {
		job.Spec.TTLSecondsAfterFinished = new(int32(max(0, spec.TTL/time.Second)))
	}
	if spec.ActiveDeadline != 0 {
		job.Spec.ActiveDeadlineSeconds = new(int64(spec.ActiveDeadline / time.Second))
	}
	return job
}

func (s JobSpec) metadata() (labels, annotations map[string]string) {
	labels, annotations = map[string]string{}, map[string]string{}
	set := func(m map[string]string, key, value string) {
		if value != "" {
			m[key] = value
		}
	}
	set(labels, LabelJobID, s.JobID)
	if s.Attempt != 0 {
		annotations[AnnotationAttempt] = strconv.Itoa(s.Attempt)
	}
	set(annotations, AnnotationCorrelationID, s.CorrelationID)
	set(annotations, AnnotationOwner, s.Owner)
	set(annotations, AnnotationOutputURI, s.OutputURI)
	if s.NotFinal {
		annotations[AnnotationStageFinal] = "false"
	}
	return labels, annotations
}

// simulation is what only the pods carry: nothing of it may reach the product
// through the Job itself.
func (s JobSpec) simulation() map[string]string {
	m := map[string]string{}
	if s.Outcome != "" && s.Outcome != OutcomeUnschedulable {
		m[AnnotationOutcome] = string(s.Outcome)
	}
	if s.After > 0 {
		m[AnnotationSeconds] = strconv.FormatFloat(s.After.Seconds(), 'f', -1, 64)
	}
	if s.ExitCode != 0 {
		m[AnnotationExitCode] = strconv.Itoa(s.ExitCode)
	}
	return m
}

func (s JobSpec) pod() corev1.PodSpec {
	pod := corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever,
		Tolerations:   []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
		Containers:    []corev1.Container{{Name: "work", Image: "example.invalid/work:1"}},
	}
	if s.Outcome == OutcomeUnschedulable {
		pod.NodeSelector = map[string]string{LabelRoom: "true"}
	}
	return pod
}

func merged(a, b map[string]string) map[string]string {
	m := maps.Clone(a)
	maps.Copy(m, b)
	return m
}
