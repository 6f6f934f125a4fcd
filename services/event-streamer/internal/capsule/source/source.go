// Package source asks the API server for what failed pods leave behind. It only
// reads, keeps nothing and judges nothing: an error is the API server's own.
package source

import (
	"context"
	"io"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// Cluster reads from one cluster.
type Cluster struct{ client kubernetes.Interface }

// New returns a Cluster. The client should have a rate limit of its own: what
// capsules ask for must not keep others waiting.
func New(client kubernetes.Interface) *Cluster { return &Cluster{client: client} }

// Pod returns a pod as it is now.
func (c *Cluster) Pod(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	return c.client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{}) //nolint:wrapcheck // the API server's own
}

// Log opens the last lines of a container's log. It goes on to the log's end, and
// is not followed.
func (c *Cluster) Log(ctx context.Context, namespace, pod, container string, previous bool, lines int64) (io.ReadCloser, error) {
	return c.client.CoreV1().Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{ //nolint:wrapcheck // the API server's own
		Container: container, Previous: previous, TailLines: &lines,
	}).Stream(ctx)
}

// Events returns up to limit Events about the object with that uid, or only its
// warnings.
func (c *Cluster) Events(ctx context.Context, namespace string, uid types.UID, warnings bool, limit int64) ([]corev1.Event, error) {
	about := fields.OneTermEqualSelector("involvedObject.uid", string(uid))
	if warnings {
		about = fields.AndSelectors(about, fields.OneTermEqualSelector("type", corev1.EventTypeWarning))
	}
	list, err := c.client.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: about.String(), Limit: limit})
	if err != nil {
		return nil, err //nolint:wrapcheck // the API server's own
	}
	return list.Items, nil
}
