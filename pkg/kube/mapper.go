package kube

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// Why an object makes no facts. Nothing heals these but a change of the object.
var (
	// ErrInvalidJobID says that the label is empty or no valid label value.
	ErrInvalidJobID = errors.New("the label " + LabelJobID + " is not a valid job id")
	// ErrInvalidAttempt says that the annotation is no number from 1 to 100.
	ErrInvalidAttempt = errors.New("the annotation " + AnnotationAttempt + " is not a number from 1 to 100")
	// ErrIncomplete says that the object lacks what the API server gives every
	// object: a UID and a creation time.
	ErrIncomplete = errors.New("the object has no uid or no creation time")
	// ErrNotOwner says that a Pod and a Job that were given together do not
	// belong together.
	ErrNotOwner = errors.New("the pod is not owned by the job")
)

// Mapper turns the objects of one cluster into facts. The zero value of every
// field but Cluster is usable; a Mapper is safe for concurrent use.
type Mapper struct {
	// Cluster is the configured name of the cluster, part of every event id.
	Cluster string
	// Source says who reports; it is no part of an id.
	Source job.Source
	// Reporter names the reporting process, for people.
	Reporter string
	// Tenants binds namespaces to tenants.
	Tenants map[string]string
}

// Facts is all that an object says.
type Facts struct {
	Observations []job.Observation
	Phases       []*resiliencyv1.PhaseEvent
	// TraceParent is the W3C traceparent that the Job carries, as it is.
	TraceParent string
	// Notes names what was ignored of the object, one annotation each, and why.
	Notes []Note
}

// Note says that a part of an object was ignored.
type Note struct {
	// Key is the annotation.
	Key string
	// Problem is one line for a person; it holds nothing of the value.
	Problem string
}

func (f *Facts) note(key, problem string) {
	f.Notes = append(f.Notes, Note{Key: key, Problem: problem})
}

// Head is what every claim about a Job carries, for whoever has one of its own to
// make. It fails as Job does.
func (m *Mapper) Head(j *Job) (job.Observation, error) { return m.head(j, &Facts{}) }

// head reads from a Job what every fact about it carries.
func (m *Mapper) head(j *Job, f *Facts) (job.Observation, error) {
	if j.UID == "" || j.CreationTimestamp.IsZero() {
		return job.Observation{}, fmt.Errorf("read job %s/%s: %w", j.Namespace, j.Name, ErrIncomplete)
	}
	if job.CheckID(j.JobID) != nil {
		return job.Observation{}, fmt.Errorf("read job %s/%s: %w", j.Namespace, j.Name, ErrInvalidJobID)
	}
	f.TraceParent = j.TraceParent
	attempt, err := parseAttempt(j.Attempt)
	if err != nil {
		return job.Observation{}, fmt.Errorf("read job %s/%s: %w", j.Namespace, j.Name, err)
	}
	return job.Observation{
		JobID: j.JobID, Attempt: attempt,
		Ordinal: job.OrdinalKubernetes, Stage: job.StageKubernetes,
		Source: m.Source, Reporter: m.Reporter, Tenant: m.Tenants[j.Namespace],
		CorrelationID: f.value(AnnotationCorrelationID, j.CorrelationID, name, "is longer than 256 bytes or not printable"),
		Owner:         f.value(AnnotationOwner, j.Owner, name, "is longer than 256 bytes or not printable"),
		OutputURI:     f.value(AnnotationOutputURI, j.OutputURI, outputURI, "is not of the form gs://bucket/prefix/"),
		Kubernetes: job.Kubernetes{
			Cluster: m.Cluster, Namespace: j.Namespace, Name: j.Name,
			UID: string(j.UID), CreatedAt: seconds(j.CreationTimestamp.Time), End: j.end(),
		},
	}, nil
}

// value returns an annotation's value, or nothing and a note when it is bad:
// a description that cannot be read must not hide how the job ended.
func (f *Facts) value(key, v string, ok func(string) bool, problem string) string {
	if v == "" || ok(v) {
		return v
	}
	f.note(key, problem)
	return ""
}

func parseAttempt(s string) (int32, error) {
	if s == "" {
		return 1, nil
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 1 || n > job.MaxAttempt {
		return 0, ErrInvalidAttempt
	}
	return int32(n), nil
}

// final reports whether the end of this Job ends the whole job.
func (f *Facts) final(j *Job) bool {
	if j.StageFinal != "" && j.StageFinal != "true" && j.StageFinal != "false" {
		f.note(AnnotationStageFinal, `is neither "true" nor "false"`)
	}
	return j.end() == job.StageEndsJob
}

// end is said with every claim, so that who sees nothing of the Job but its end
// (an Event of Kubernetes) knows what the end means.
func (j *Job) end() job.StageEnd {
	if j.StageFinal == "false" {
		return job.StageGoesOn
	}
	return job.StageEndsJob
}

// seconds cuts a time as the Kubernetes API gives it: two watchers, one of
// which read the object elsewhere, must name a fact alike.
func seconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// observe adds a claim; parts complete the id behind cluster and UID.
func (f *Facts) observe(o job.Observation, at time.Time, parts ...string) {
	o.OccurredAt = factTime(&o, at)
	o.EventID = factID(&o, o.OccurredAt, parts)
	f.Observations = append(f.Observations, o)
}

// phase adds a step of the timeline and returns it for the caller to fill.
func (f *Facts) phase(o *job.Observation, at time.Time, name string, parts ...string) *resiliencyv1.PhaseEvent {
	at = factTime(o, at)
	p := &resiliencyv1.PhaseEvent{
		EventId: factID(o, at, append([]string{name}, parts...)), OccurredAt: timestamppb.New(at),
		JobId: o.JobID, Attempt: o.Attempt,
		Stage:         &resiliencyv1.Stage{Name: o.Stage, Ordinal: o.Ordinal},
		CorrelationId: o.CorrelationID, Source: o.Source, Reporter: o.Reporter,
		Name: text(name, maxPhase),
	}
	f.Phases = append(f.Phases, p)
	return p
}

// factTime is when a fact became true. One of which the object holds no time is
// at least as late as the creation of its Job, which is known always.
func factTime(o *job.Observation, at time.Time) time.Time {
	if at.IsZero() {
		return o.Kubernetes.CreatedAt
	}
	return seconds(at)
}

func factID(o *job.Observation, at time.Time, parts []string) string {
	all := make([]string, 0, 4+len(parts))
	all = append(all, o.Kubernetes.Cluster, o.Kubernetes.UID)
	all = append(all, parts...)
	all = append(all, job.TimePart(at))
	if o.Generation != 0 {
		all = append(all, strconv.FormatInt(o.Generation, 10))
	}
	return job.EventID(all...)
}
