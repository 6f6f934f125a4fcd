package kube

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/envision/resiliency/pkg/job"
)

// The reason strings of Kubernetes that this package knows. They are no API:
// each was read in the kubelet, the scheduler or the controllers. An unknown
// one never hides a failure, it only makes its cause less exact.
var (
	// podReasons are values of status.reason, written by the kubelet.
	podReasons = map[string]job.Cause{
		"Evicted":                  job.CauseEvicted,
		"Preempting":               job.CausePreempted,
		"DeadlineExceeded":         job.CauseDeadline,
		"NodeLost":                 job.CauseNodeLost,
		"NodeShutdown":             job.CauseNodeLost,
		"Shutdown":                 job.CauseNodeLost,
		"Terminated":               job.CauseNodeLost, // graceful node shutdown
		"OutOfcpu":                 job.CauseUnschedulable,
		"OutOfmemory":              job.CauseUnschedulable,
		"OutOfephemeral-storage":   job.CauseUnschedulable,
		"OutOfpods":                job.CauseUnschedulable,
		"NodeAffinity":             job.CauseUnschedulable,
		"UnexpectedAdmissionError": job.CauseOther,
	}
	// disruptions are reasons of the condition DisruptionTarget.
	disruptions = map[string]job.Cause{
		corev1.PodReasonPreemptionByScheduler: job.CausePreempted,
		"EvictionByEvictionAPI":               job.CauseEvicted,
		// Node pressure says 'Evicted' in status.reason as well; what is left is
		// the node's own shutdown.
		corev1.PodReasonTerminationByKubelet: job.CauseNodeLost,
		"DeletionByTaintManager":             job.CauseNodeLost,
		"DeletionByPodGC":                    job.CauseNodeLost,
	}
	// waits are reasons for which a container waits in vain.
	waits = map[string]job.Cause{
		"ErrImagePull":               job.CauseImage,
		"ImagePullBackOff":           job.CauseImage,
		"InvalidImageName":           job.CauseImage,
		"ErrImageNeverPull":          job.CauseImage,
		"ImageInspectError":          job.CauseImage,
		"RegistryUnavailable":        job.CauseImage,
		"SignatureValidationFailed":  job.CauseImage,
		"CreateContainerConfigError": job.CauseConfig,
		"CreateContainerError":       job.CauseConfig,
		"RunContainerError":          job.CauseConfig,
	}
	// exits are reasons of a container's end; all others are plain exits.
	exits = map[string]job.Cause{
		"OOMKilled":              job.CauseOOM,
		"StartError":             job.CauseConfig,
		"ContainerCannotRun":     job.CauseConfig,
		"ContainerStatusUnknown": job.CauseOther,
	}
)
