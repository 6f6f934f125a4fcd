package jobs

import "strconv"

// Labels and annotations by which the watchers of Kubernetes know a job.
// docs/examples/sdk-job.yaml shows them in place; a test keeps them equal to
// those that the watchers read.
const (
	prefix                  = "resiliency.envision.dev/"
	labelJobID              = prefix + "job-id"
	annotationAttempt       = prefix + "attempt"
	annotationCorrelationID = prefix + "correlation-id"
	annotationOwner         = prefix + "owner"
	annotationOutputURI     = prefix + "output-uri"
	annotationTraceParent   = prefix + "traceparent"
)

// Labels are what a Kubernetes Job and its pods must carry to be followed.
func (j *Job) Labels() map[string]string {
	if j == nil {
		return nil
	}
	return map[string]string{labelJobID: j.spec.ID}
}

// Annotations are what a Kubernetes Job and its pods should carry: what is known
// of the run, for the watchers and for the containers' environment.
func (j *Job) Annotations() map[string]string {
	if j == nil {
		return nil
	}
	all := map[string]string{annotationAttempt: strconv.Itoa(int(j.spec.Attempt))}
	parent, _ := traceTexts(j.span)
	for key, value := range map[string]string{
		annotationCorrelationID: j.spec.CorrelationID, annotationOwner: j.spec.Owner,
		annotationOutputURI: j.spec.OutputURI, annotationTraceParent: parent,
	} {
		if value != "" {
			all[key] = value
		}
	}
	return all
}
