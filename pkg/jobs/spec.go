package jobs

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.opentelemetry.io/otel/trace"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/messaging"
)

// maxName bounds correlation ids, owners and tenants, in bytes: what the
// watchers of Kubernetes take from an annotation.
const maxName = 256

// Spec describes a job to Create. Only ID is needed.
type Spec struct {
	// ID is the product's id of the job: a valid Kubernetes label value.
	ID string
	// Attempt is the number of the run, 1 to 100; 0 is 1.
	Attempt int32
	// CorrelationID ties together what one user request set off.
	CorrelationID string
	// Owner is the user or team that the job belongs to; Tenant its tenant.
	Owner, Tenant string
	// OutputURI is where the output goes, as gs://bucket/prefix/.
	OutputURI string
	// Stage is where the job begins; Backend by default.
	Stage Stage
}

// Ref names one run of a job, for the product to pass to the next process.
type Ref struct {
	JobID         string `json:"job_id"`
	Attempt       int32  `json:"attempt,omitempty"`
	CorrelationID string `json:"correlation_id,omitempty"`
	// TraceParent and TraceState are the W3C trace context, used where the
	// context of the call has none.
	TraceParent string `json:"traceparent,omitempty"`
	TraceState  string `json:"tracestate,omitempty"`
	// Stage is where the process that joins works; Backend by default, and
	// Kubernetes in a pod.
	Stage Stage `json:"-"`
	// InPod says that the process runs in a pod of the job's Kubernetes Job. Its
	// Fail and Succeed are then steps of the timeline and no verdict: Kubernetes
	// may run the pod again, and its Job has the last word.
	InPod bool `json:"-"`
}

// RefFromEnvironment reads the environment of a container in a Kubernetes Job.
func RefFromEnvironment() (Ref, error) {
	ref := Ref{
		JobID: os.Getenv(EnvJobID), CorrelationID: os.Getenv(EnvCorrelationID), InPod: true,
		TraceParent: os.Getenv(EnvTraceParent), TraceState: os.Getenv(EnvTraceState),
		Stage: OnKubernetes(KubernetesJob{
			Cluster: os.Getenv(EnvCluster), Namespace: os.Getenv(EnvNamespace),
			Name: os.Getenv(EnvKubernetesJob), UID: os.Getenv(EnvKubernetesUID),
		}),
	}
	if text := os.Getenv(EnvAttempt); text != "" {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return Ref{}, fmt.Errorf("read %s: %w", EnvAttempt, err)
		}
		ref.Attempt = int32(n)
	}
	return ref, nil
}

func (r *Ref) span() trace.SpanContext {
	return messaging.Trace(map[string]string{
		messaging.AttributeTraceParent: r.TraceParent, messaging.AttributeTraceState: r.TraceState,
	})
}

// check refuses what names no run, all at once. Texts that only describe are
// refused too: here somebody reads the error, and cut they would tie together
// what does not belong together.
func (s *Spec) check() error {
	errs := []error{job.CheckID(s.ID)}
	if s.Attempt < 1 || s.Attempt > job.MaxAttempt {
		errs = append(errs, fmt.Errorf("attempt %d is not between 1 and %d", s.Attempt, job.MaxAttempt))
	}
	for _, text := range [][2]string{{"correlation id", s.CorrelationID}, {"owner", s.Owner}, {"tenant", s.Tenant}} {
		if len(text[1]) > maxName || !printable(text[1]) {
			errs = append(errs, fmt.Errorf("the %s is longer than %d bytes or not printable", text[0], maxName))
		}
	}
	if s.OutputURI != "" && !outputURI(s.OutputURI) {
		errs = append(errs, errors.New("the output URI is not of the form gs://bucket/prefix/"))
	}
	return errors.Join(errs...)
}

func printable(text string) bool {
	return utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

func outputURI(text string) bool {
	u, err := url.Parse(text)
	return err == nil && len(text) <= job.MaxMessageBytes && printable(text) &&
		u.Scheme == "gs" && u.Host != "" && strings.HasSuffix(u.Path, "/")
}
