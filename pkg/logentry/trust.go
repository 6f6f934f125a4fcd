package logentry

import (
	"regexp"
	"strings"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/kube"
)

// Trust says whose lines count.
type Trust struct {
	// Namespace and Container are where the log witness runs.
	Namespace, Container string
	// Project, Location and Cluster restrict entries to one cluster; each may be
	// empty, which lets pass any.
	Project, Location, Cluster string
}

// Speaker is who GKE says wrote a line.
type Speaker uint8

const (
	// SpeakerNobody has no word: neither the witness nor a job's container.
	SpeakerNobody Speaker = iota
	// SpeakerWitness is the log witness.
	SpeakerWitness
	// SpeakerContainer is a container of a job's pod.
	SpeakerContainer
)

// Foreign reports whether the entry comes from another cluster than the one
// that is trusted.
func (t *Trust) Foreign(e *Entry) bool {
	differs := func(want, label string) bool { return want != "" && e.Resource.Labels[label] != want }
	return differs(t.Project, labelProject) || differs(t.Location, labelLocation) || differs(t.Cluster, labelCluster)
}

// Speaker says who wrote the line, and for a job's container, which job's its
// labels say that it is.
func (t *Trust) Speaker(e *Entry) (Speaker, string) {
	if e.Resource.Type != resourceContainer || e.Namespace() == "" || e.Container() == "" {
		return SpeakerNobody, ""
	}
	if e.Namespace() == t.Namespace && e.Container() == t.Container {
		return SpeakerWitness, ""
	}
	if jobID := e.Labels[podLabel(kube.LabelJobID)]; jobID != "" {
		return SpeakerContainer, jobID
	}
	return SpeakerNobody, ""
}

// podLabel is the label of an entry that holds a pod's label: dots become
// underscores. Google does not document it; entries of live clusters look so.
func podLabel(key string) string { return "k8s-pod/" + strings.ReplaceAll(key, ".", "_") }

// labelControllerUID is on every pod of a Job, set by its controller.
const labelControllerUID = "batch.kubernetes.io/controller-uid"

// Vouches reports whether the container that wrote the line is one of the
// Kubernetes Job. Its labels do not say so by themselves, for a line can bring
// labels of its own with it; its namespace and pod name are GKE's word alone,
// and the label that a Job puts on its pods cannot be written over.
func (e *Entry) Vouches(k *job.Kubernetes) bool {
	if k.UID == "" || e.Namespace() != k.Namespace {
		return false
	}
	if uid := e.Labels[podLabel(labelControllerUID)]; uid != "" && uid != k.UID {
		return false
	}
	return podOf(e.Pod(), k.Name)
}

// podSuffix ends the names of a Job's pods: an index, where it has indexes, and
// five random characters.
var podSuffix = regexp.MustCompile(`^-(?:\d+-)?[a-z0-9]{5}$`)

// keptOfName is how much of a Job's long name its pods' names begin with at
// least: a name has 63 characters, less the longest suffix.
const keptOfName = 63 - len("-1000000-xxxxx")

// podOf reports whether a Job of that name can have a pod of that name.
// Source: kubernetes v1.36.3, podGenerateNameWithIndex in pkg/controller/job.
func podOf(pod, jobName string) bool {
	if rest, ok := strings.CutPrefix(pod, jobName); ok {
		return podSuffix.MatchString(rest)
	}
	return len(jobName) > keptOfName && strings.HasPrefix(pod, jobName[:keptOfName])
}
