package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/envision/resiliency/test/drive"
	"github.com/envision/resiliency/test/stack"
)

// The scenarios of jobs that recovery-job finds while everything else works.
const (
	// stuckBackend are jobs whose backend died: nobody takes them up again, so they
	// are closed.
	stuckBackend = "stuck-backend"
	// stuckFaces are jobs whose face detection died: a worker takes them up again,
	// and they run to their end.
	stuckFaces = "stuck-faces"
	// highLoad are jobs for which the cluster has no room for a while.
	highLoad = "high-load"
	// stuckJobs is how many of each there are.
	stuckJobs = 5
)

// stuck has jobs get stuck, and unstuck.
type stuck struct {
	kube     kubernetes.Interface
	product  *product
	recovery *recovery
}

// scenarios are the jobs, and what is to become of them.
func (s *stuck) scenarios() []drive.Scenario {
	return []drive.Scenario{
		{Name: stuckBackend, Jobs: stuckJobs, Expected: drive.Failed, Cause: "SILENT", Evidence: "ASSUMED",
			Begin: s.product.enterBackend, Stays: true},
		{Name: stuckFaces, Jobs: stuckJobs, Expected: drive.Succeeded, Evidence: "CONDITION", Attempt: 2,
			Begin: s.product.enterFaceDetection},
		{Name: highLoad, Jobs: stuckJobs, Expected: drive.Succeeded, Evidence: "CONDITION",
			Spec: stack.JobSpec{Outcome: stack.OutcomeUnschedulable}},
	}
}

// play runs recovery-job until each of the jobs is on its way or closed.
func (s *stuck) play(ctx context.Context, driver *drive.Driver) error {
	backend, faces, waiting := driver.Names(stuckBackend), driver.Names(stuckFaces), driver.Names(highLoad)
	all := append(append(append([]string{}, backend...), faces...), waiting...)
	known := s.recovery.all(all, func(shown) bool { return true })
	if err := await(ctx, "the records of the stuck jobs", 250*time.Millisecond, playWithin, known); err != nil {
		return err
	}
	// Before the scheduler has looked for room, a pod just waits, and recovery-job would
	// look again after a minute only.
	noRoom := func(ctx context.Context) (bool, error) { return s.withoutRoom(ctx, waiting) }
	if err := await(ctx, "the scheduler to find no room", 250*time.Millisecond, settledWithin, noRoom); err != nil {
		return err
	}
	delayed := s.recovery.all(waiting, func(r shown) bool { return r.delayed })
	if err := s.recovery.until(ctx, "the delay to be on record", delayed); err != nil {
		return err
	}
	if err := s.makeRoom(ctx); err != nil {
		return err
	}
	resumed := s.recovery.all(faces, func(r shown) bool { return r.resumes > 0 })
	if err := s.recovery.until(ctx, "face detection to be resumed", resumed); err != nil {
		return err
	}
	closed := s.recovery.all(backend, func(r shown) bool { return r.resumes > 0 && r.state == drive.Failed })
	return s.recovery.until(ctx, "the jobs of the dead backend to be closed", closed)
}

// withoutRoom asks whether the scheduler says of a pod of each of these Jobs that no
// node has room for it.
func (s *stuck) withoutRoom(ctx context.Context, jobs []string) (bool, error) {
	selector := fmt.Sprintf("%s in (%s)", batchv1.JobNameLabel, strings.Join(jobs, ","))
	pods, err := s.kube.CoreV1().Pods(s.product.project.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return false, fmt.Errorf("list pods of %v: %w", jobs, err)
	}
	found := map[string]bool{}
	for i := range pods.Items {
		for _, c := range pods.Items[i].Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonUnschedulable {
				found[pods.Items[i].Labels[batchv1.JobNameLabel]] = true
			}
		}
	}
	return len(found) == len(jobs), nil
}

// makeRoom gives a node what the waiting pods ask for.
func (s *stuck) makeRoom(ctx context.Context) error {
	nodes, err := s.kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil || len(nodes.Items) == 0 {
		return fmt.Errorf("list nodes, found %d: %w", len(nodes.Items), err)
	}
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:"true"}}}`, stack.LabelRoom)
	_, err = s.kube.CoreV1().Nodes().Patch(ctx, nodes.Items[0].Name, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("make room on node %s: %w", nodes.Items[0].Name, err)
	}
	return nil
}
