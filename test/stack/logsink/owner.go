package logsink

import (
	"context"
	"regexp"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// Labels of a pod's entries that name what made the pod, at best effort: an
// entry about a pod that is gone has none.
const (
	LabelControllerType = "logging.gke.io/top_level_controller_type"
	LabelControllerName = "logging.gke.io/top_level_controller_name"
)

// scheduledJob is a Job's name as CronJobs make it: their own, and the scheduled
// time in minutes.
var scheduledJob = regexp.MustCompile(`^(.+)-\d{8}$`)

// controllerLabels names the top-level controller of a pod as GKE does from the
// pod alone: a Job named like a CronJob's is taken for one's.
// Source: github.com/GoogleCloudPlatform/k8s-stackdriver, event-exporter/podlabels.
func controllerLabels(pod metav1.Object) map[string]string {
	owner := metav1.GetControllerOfNoCopy(pod)
	if owner == nil {
		return nil
	}
	kind, name := owner.Kind, owner.Name
	if match := scheduledJob.FindStringSubmatch(name); kind == "Job" && match != nil {
		kind, name = "CronJob", match[1]
	}
	if hash := pod.GetLabels()["pod-template-hash"]; kind == "ReplicaSet" && hash != "" {
		kind, name = "Deployment", strings.TrimSuffix(name, "-"+hash)
	}
	return map[string]string{LabelControllerType: kind, LabelControllerName: name}
}

// owners looks up pods to label the entries of their Events, and remembers.
type owners struct {
	client kubernetes.Interface
	known  *lru.Cache[types.UID, map[string]string]
}

const (
	ownersKnown   = 4096
	ownersTimeout = 2 * time.Second
)

func newOwners(client kubernetes.Interface) *owners {
	known, _ := lru.New[types.UID, map[string]string](ownersKnown) // fails only for a size below 1
	return &owners{client: client, known: known}
}

// labels returns the labels of an Event's entry, nil when the pod is not at hand.
func (o *owners) labels(ctx context.Context, event *corev1.Event) map[string]string {
	ref := event.InvolvedObject
	if ref.Kind != "Pod" {
		return nil
	}
	if labels, ok := o.known.Get(ref.UID); ok {
		return labels
	}
	ctx, cancel := context.WithTimeout(ctx, ownersTimeout)
	defer cancel()
	pod, err := o.client.CoreV1().Pods(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
	if err != nil || pod.UID != ref.UID {
		return nil
	}
	labels := controllerLabels(pod)
	o.known.Add(ref.UID, labels)
	return labels
}
