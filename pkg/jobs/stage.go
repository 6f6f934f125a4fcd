package jobs

import (
	"strings"

	"github.com/envision/resiliency/pkg/job"
)

// Stage is a part of the pipeline. A team may have stages of its own: the
// ordinal orders them, and a higher one is later.
type Stage struct {
	// Name is a lower-case name of at most 63 characters.
	Name string
	// Ordinal is the position in the pipeline.
	Ordinal int32
	// Kubernetes is the Job that the stage runs as, if it does.
	Kubernetes KubernetesJob
}

// KubernetesJob names a Job of Kubernetes.
type KubernetesJob struct {
	// Cluster is the name of the cluster, as its event-streamer is configured.
	Cluster string
	// Namespace, Name and UID are those of the Job's metadata.
	Namespace, Name, UID string
}

// Backend is the stage that takes a request.
func Backend() Stage { return Stage{Name: job.StageBackend, Ordinal: job.OrdinalBackend} }

// FaceDetection is the stage of face detection.
func FaceDetection() Stage {
	return Stage{Name: job.StageFaceDetection, Ordinal: job.OrdinalFaceDetection}
}

// OnKubernetes is the stage that runs as a Kubernetes Job.
func OnKubernetes(k KubernetesJob) Stage {
	return Stage{Name: job.StageKubernetes, Ordinal: job.OrdinalKubernetes, Kubernetes: k}
}

// runsAsJob reports whether it is the stage that the watchers of Kubernetes speak for.
func (s Stage) runsAsJob() bool {
	return s.Name == job.StageKubernetes && s.Ordinal == job.OrdinalKubernetes
}

// maxObjectName bounds the names of Kubernetes objects, as Kubernetes does.
const maxObjectName = 253

// safe makes a stage that readers take: a wrong name is a mistake to be seen on
// the page, not a reason to lose the event.
func (s Stage) safe() Stage {
	if job.CheckStage(s.Name) != nil {
		s.Name = safeLabel(s.Name)
	}
	s.Ordinal = max(s.Ordinal, 0)
	for _, text := range []*string{&s.Kubernetes.Cluster, &s.Kubernetes.Namespace, &s.Kubernetes.Name, &s.Kubernetes.UID} {
		*text = job.Cut(*text, maxObjectName)
	}
	return s
}

// safeLabel replaces what a label value must not have.
func safeLabel(text string) string {
	text = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.' {
			return r
		}
		return '-'
	}, job.Cut(text, job.MaxIDBytes))
	if text = strings.Trim(text, "-_."); text == "" {
		return "unnamed"
	}
	return text
}
