package content

import (
	"bytes"
	"encoding/json"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/redact"
)

// maxContainers is how many containers a status keeps when it does not fit.
const maxContainers = 8

// maxText is how much of one text is looked at, and maxShown how much is shown:
// a kubelet takes 4 KiB of what a container says at its end.
const maxText, maxShown = 16 << 10, 4 << 10

// status is a pod's, redacted.
type status struct {
	whole, essential any // as encoding/json decodes them
	phase            corev1.PodPhase
}

func newStatus(s *corev1.PodStatus) *status {
	if s == nil {
		return nil
	}
	return &status{whole: readStatus(s), essential: readStatus(essential(s)), phase: s.Phase}
}

// json encodes the status in at most limit bytes. What does not fit is shortened:
// first the texts, then it is left to conditions and failed containers.
func (s *status) json(limit int) string {
	if s == nil {
		return ""
	}
	for _, tree := range []any{s.whole, s.essential} {
		for _, text := range []int{maxShown, 1024, 256, 64} {
			if encoded, err := json.Marshal(shorten(tree, text)); err == nil && len(encoded) <= limit {
				return string(encoded)
			}
		}
	}
	encoded, err := json.Marshal(map[string]string{"phase": string(s.phase)})
	if err != nil {
		return ""
	}
	return string(encoded)
}

// essential keeps of a status what tells of the failure.
func essential(s *corev1.PodStatus) *corev1.PodStatus {
	return &corev1.PodStatus{
		Phase: s.Phase, Reason: s.Reason, Message: s.Message, StartTime: s.StartTime,
		Conditions:            s.Conditions[:min(len(s.Conditions), maxContainers)],
		InitContainerStatuses: failedFirst(s.InitContainerStatuses),
		ContainerStatuses:     failedFirst(s.ContainerStatuses),
	}
}

func failedFirst(all []corev1.ContainerStatus) []corev1.ContainerStatus {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b corev1.ContainerStatus) int { return Rank(&a) - Rank(&b) })
	return all[:min(len(all), maxContainers)]
}

// Rank orders containers by how much their end tells.
func Rank(s *corev1.ContainerStatus) int {
	bad := func(t *corev1.ContainerStateTerminated) bool { return t != nil && t.ExitCode != 0 }
	switch {
	case bad(s.State.Terminated):
		return 0
	case bad(s.LastTerminationState.Terminated):
		return 1
	case s.State.Running != nil:
		return 2
	default:
		return 3
	}
}

// readStatus goes by the JSON and not by the type, so that a text that Kubernetes
// adds is redacted too.
func readStatus(s *corev1.PodStatus) any {
	raw, err := json.Marshal(s)
	if err != nil {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		return nil
	}
	return eachText(tree, func(text string) string { return job.Cut(redact.String(job.Cut(text, maxText)), maxShown) })
}

func shorten(tree any, limit int) any {
	return eachText(tree, func(text string) string { return job.Cut(text, limit) })
}

// eachText returns a copy with every text replaced, less what tells nothing.
func eachText(v any, replace func(string) string) any {
	switch v := v.(type) {
	case string:
		return replace(v)
	case []any:
		all := make([]any, len(v))
		for i := range v {
			all[i] = eachText(v[i], replace)
		}
		return all
	case map[string]any:
		all := make(map[string]any, len(v))
		for key := range v {
			if !uninteresting(key) {
				all[key] = eachText(v[key], replace)
			}
		}
		return all
	default:
		return v
	}
}

// uninteresting are fields that are long and tell nothing of a failure.
func uninteresting(key string) bool {
	switch key {
	case "podIPs", "hostIPs", "volumeMounts", "allocatedResources", "allocatedResourcesStatus", "user", "resourceClaimStatuses":
		return true
	default:
		return false
	}
}
