//go:build integration

package e2e

import (
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/envision/resiliency/test/stack"
)

// clusterAnswer is one thing that the cluster may show of a job.
type clusterAnswer struct {
	name string
	// spec and edit make the Kubernetes Job; a zero spec makes none.
	spec stack.JobSpec
	edit func(*batchv1.Job)
	// known says that the record knows all that the Job says; else it knows at
	// most that it once ran.
	known bool
	// unseen says that the record does not even know that there is one, earlier
	// that it is of the first attempt, whichever the job is in.
	unseen, earlier bool
	// begun is when the record is made, act what happens then, and shown when it
	// is as recovery has to find it.
	begun func(*stand) bool
	act   func(w *world, id string)
	shown func(*stand) bool
}

// hold keeps an object that is deleted, as a dead node keeps its pods.
const hold = "e2e.resiliency.envision.dev/hold"

const soon = 200 * time.Millisecond

func neverThere() clusterAnswer { return clusterAnswer{name: "never there"} }

func runningJob() clusterAnswer {
	return clusterAnswer{name: "running", spec: stack.JobSpec{Outcome: stack.OutcomeHang}, known: true, begun: runs, shown: runs}
}

func completeJob() clusterAnswer {
	return clusterAnswer{name: "complete", spec: stack.JobSpec{Outcome: stack.OutcomeSucceed, After: soon}, shown: says(batchv1.JobComplete)}
}

func failedJob() clusterAnswer {
	return clusterAnswer{name: "failed", spec: stack.JobSpec{Outcome: stack.OutcomeExit, After: soon}, shown: says(batchv1.JobFailed)}
}

// removedJob has ended well and was tidied away by ttlSecondsAfterFinished.
func removedJob() clusterAnswer {
	a := completeJob()
	a.name, a.spec.TTL, a.shown = "removed by TTL", -1, gone
	return a
}

// forgottenJob has failed and was tidied away.
func forgottenJob() clusterAnswer {
	a := failedJob()
	a.name, a.spec.TTL, a.shown = "failed, removed by TTL", -1, gone
	return a
}

func unschedulableJob() clusterAnswer {
	shown := func(s *stand) bool {
		return aPod(s, func(p *corev1.Pod) bool {
			for _, c := range p.Status.Conditions {
				if c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonUnschedulable {
					return true
				}
			}
			return false
		})
	}
	return clusterAnswer{name: "pending, unschedulable", spec: stack.JobSpec{Outcome: stack.OutcomeUnschedulable}, known: true, begun: shown, shown: shown}
}

// quotaJob has no pods: noRoomForDeadlines refuses them.
func quotaJob() clusterAnswer {
	shown := func(s *stand) bool {
		return s.job != nil && len(s.refused) > 0 && strings.Contains(s.refused[0], "exceeded quota")
	}
	return clusterAnswer{
		name: "pending, quota", spec: stack.JobSpec{Outcome: stack.OutcomeSucceed}, known: true, begun: shown, shown: shown,
		edit: func(j *batchv1.Job) { j.Spec.Template.Spec.ActiveDeadlineSeconds = new(int64(3600)) },
	}
}

func imageJob() clusterAnswer {
	shown := func(s *stand) bool {
		return aPod(s, func(p *corev1.Pod) bool {
			return len(p.Status.ContainerStatuses) > 0 && p.Status.ContainerStatuses[0].State.Waiting != nil
		})
	}
	return clusterAnswer{name: "pending, image", spec: stack.JobSpec{Outcome: stack.OutcomeImage}, known: true, begun: shown, shown: shown}
}

func suspendedJob() clusterAnswer {
	shown := says(batchv1.JobSuspended)
	return clusterAnswer{name: "suspended", spec: stack.JobSpec{Suspended: true}, known: true, begun: shown, shown: shown}
}

func queuedJob() clusterAnswer {
	a := suspendedJob()
	a.name, a.spec.Labels = "suspended by Kueue", map[string]string{"kueue.x-k8s.io/queue-name": "nightly"}
	return a
}

// endingJob has run out of time, and its pod does not go: its node is dead.
func endingJob() clusterAnswer {
	shown := func(s *stand) bool {
		return says(batchv1.JobFailureTarget)(s) && aPod(s, func(p *corev1.Pod) bool { return p.DeletionTimestamp != nil })
	}
	return clusterAnswer{
		name: "FailureTarget", spec: stack.JobSpec{Outcome: stack.OutcomeHang, ActiveDeadline: time.Second}, known: true, begun: shown, shown: shown,
		edit: func(j *batchv1.Job) {
			j.Spec.Template.Finalizers = []string{hold}
			j.Spec.Template.Spec.TerminationGracePeriodSeconds = new(int64(1))
		},
	}
}

func deletedJob() clusterAnswer {
	a := runningJob()
	a.name = "being deleted"
	a.edit = func(j *batchv1.Job) { j.Finalizers = []string{hold} }
	a.act = deleting(metav1.DeletePropagationBackground)
	a.shown = func(s *stand) bool { return s.job != nil && s.job.DeletionTimestamp != nil }
	return a
}

// orphanedJob is gone, and its pod works on.
func orphanedJob() clusterAnswer {
	a := runningJob()
	a.name, a.act = "gone, its pod lives", deleting(metav1.DeletePropagationOrphan)
	a.shown = func(s *stand) bool {
		return s.job == nil && aPod(s, func(p *corev1.Pod) bool { return len(p.OwnerReferences) == 0 })
	}
	return a
}

func unreadableJob() clusterAnswer {
	a := runningJob()
	a.name, a.known, a.unseen = "unreadable", false, true
	a.edit = func(j *batchv1.Job) { j.Annotations[stack.AnnotationAttempt] = "0" }
	return a
}

// earlierJob is of the first attempt and lives on.
func earlierJob() clusterAnswer {
	a := runningJob()
	a.name, a.earlier = "running, of an earlier attempt", true
	return a
}

func notFinal(a clusterAnswer) clusterAnswer {
	a.name, a.spec.NotFinal = a.name+", a stage follows", true
	return a
}

func runs(s *stand) bool { return s.job != nil && s.job.Status.Ready != nil && *s.job.Status.Ready > 0 }

func says(condition batchv1.JobConditionType) func(*stand) bool {
	return func(s *stand) bool {
		if s.job == nil {
			return false
		}
		for _, c := range s.job.Status.Conditions {
			if c.Type == condition && c.Status == corev1.ConditionTrue {
				return true
			}
		}
		return false
	}
}

func gone(s *stand) bool { return s.job == nil && len(s.pods) == 0 }

func aPod(s *stand, is func(*corev1.Pod) bool) bool {
	for i := range s.pods {
		if is(&s.pods[i]) {
			return true
		}
	}
	return false
}

func deleting(how metav1.DeletionPropagation) func(*world, string) {
	return func(w *world, id string) {
		err := shared.Kube().BatchV1().Jobs(w.Namespace).Delete(w.t.Context(), id, metav1.DeleteOptions{PropagationPolicy: &how})
		if err != nil {
			w.t.Fatalf("delete job %s: %v", id, err)
		}
	}
}

// bucketAnswer is one thing that a bucket may show of a job.
type bucketAnswer struct {
	name string
	// uri is the place that the job declares; nil for the usual one.
	uri func(w *world, id string) string
	// old is written before the job's Kubernetes Job is created, left after it.
	old, left func(w *world, id, uid string)
}

// undeclared has no place for output at all.
func undeclared() bucketAnswer {
	return bucketAnswer{name: "undeclared", uri: func(*world, string) string { return "" }}
}

func emptyBucket() bucketAnswer { return bucketAnswer{name: "empty"} }

func markerLeft() bucketAnswer {
	return bucketAnswer{name: "marker", left: func(w *world, id, uid string) { w.mark(id, fmt.Sprintf(`{"uid":%q,"job_id":%q}`, uid, id)) }}
}

func markerOfAttempt(name string, attempt int) bucketAnswer {
	return bucketAnswer{name: name, left: func(w *world, id, _ string) { w.mark(id, fmt.Sprintf(`{"attempt":%d}`, attempt)) }}
}

func unsignedMarker() bucketAnswer {
	return bucketAnswer{name: "marker of nobody", left: func(w *world, id, _ string) { w.mark(id, "") }}
}

func oldMarker() bucketAnswer {
	return bucketAnswer{name: "marker of before this run", old: func(w *world, id, _ string) { w.mark(id, "") }}
}

// filesLeft has so many files and no marker.
func filesLeft(name string, n int) bucketAnswer {
	return bucketAnswer{name: name, left: func(w *world, id, _ string) {
		for i := range n {
			w.put(stack.OutputBucket, fmt.Sprintf("%spart-%05d-of-00100", w.prefix(id), i), "x")
		}
	}}
}

// neighboursMarker is that of a job whose id begins with this one's.
func neighboursMarker() bucketAnswer {
	return bucketAnswer{name: "marker under another prefix", left: func(w *world, id, uid string) { w.mark(id+"0", fmt.Sprintf(`{"uid":%q}`, uid)) }}
}

func deletedMarker() bucketAnswer {
	return bucketAnswer{
		name: "marker soft-deleted", uri: func(w *world, id string) string { return "gs://" + w.versioned + "/" + w.prefix(id) },
		left: func(w *world, id, uid string) { w.putAndDelete(id, fmt.Sprintf(`{"uid":%q}`, uid)) },
	}
}

func noBucket() bucketAnswer {
	return bucketAnswer{name: "no such bucket", uri: func(w *world, id string) string { return "gs://" + w.ID + "-nowhere/" + w.prefix(id) }}
}

// faultyBucket answers requests about the job's place with a status.
func faultyBucket(status int) bucketAnswer {
	return bucketAnswer{name: fmt.Sprintf("API error %d", status), old: func(w *world, id, _ string) {
		w.t.Cleanup(shared.GCS.Inject(stack.HTTPFault{Contains: w.prefix(id), Status: status}))
	}}
}
