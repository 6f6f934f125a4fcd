package drive

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// Actor does to Jobs what a user would do.
type Actor struct {
	client    kubernetes.Interface
	namespace string
	truth     *Truth
}

// SuspendAndResume suspends a running Job, waits until Kubernetes says so, and
// lets it go on. A Job that ends before the suspension reaches it stays ended.
func SuspendAndResume(ctx context.Context, a *Actor, name string) error {
	if err := a.suspend(ctx, name, true); err != nil {
		return err
	}
	if err := a.truth.Wait(ctx, name, func(f Fact) bool { return f.Suspended || f.State != "" }); err != nil {
		return fmt.Errorf("suspend job %s: %w", name, err)
	}
	return a.suspend(ctx, name, false)
}

// Delete deletes a running Job and its pods, as kubectl does.
func Delete(ctx context.Context, a *Actor, name string) error {
	background := metav1.DeletePropagationBackground
	err := a.client.BatchV1().Jobs(a.namespace).Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &background})
	if err != nil {
		return fmt.Errorf("delete job %s: %w", name, err)
	}
	return nil
}

func (a *Actor) suspend(ctx context.Context, name string, suspend bool) error {
	patch := fmt.Appendf(nil, `{"spec":{"suspend":%t}}`, suspend)
	_, err := a.client.BatchV1().Jobs(a.namespace).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("set suspend=%t on job %s: %w", suspend, name, err)
	}
	return nil
}
