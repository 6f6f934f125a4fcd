package kube

// Prefix of every label and annotation of the product.
const Prefix = "resiliency.envision.dev/"

// LabelJobID marks the Jobs, and their Pods, that belong to a job of the
// product; its value is the job id.
const LabelJobID = Prefix + "job-id"

// Annotations of a Job. All are optional.
const (
	// AnnotationAttempt is the number of the run, 1 to 100; 1 when absent.
	AnnotationAttempt = Prefix + "attempt"
	// AnnotationCorrelationID ties together what one user request set off.
	AnnotationCorrelationID = Prefix + "correlation-id"
	// AnnotationOwner is the user or team that the job belongs to.
	AnnotationOwner = Prefix + "owner"
	// AnnotationOutputURI is where the output goes, as gs://bucket/prefix/.
	AnnotationOutputURI = Prefix + "output-uri"
	// AnnotationStageFinal says whether the end of this Job ends the whole job
	// ("true", also when absent) or only its Kubernetes stage ("false").
	AnnotationStageFinal = Prefix + "stage-final"
	// AnnotationTraceParent is the W3C traceparent of the request that made the
	// Job: what is published of it belongs to that trace.
	AnnotationTraceParent = Prefix + "traceparent"
)
