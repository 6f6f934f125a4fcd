//go:build integration

package e2e

import (
	"context"
	"fmt"
	"time"

	"cloud.google.com/go/storage"
	"golang.org/x/sync/errgroup"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/kube"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/test/stack"
)

// world is a project in which jobs are brought into the state that recovery has
// to judge: their records, their Kubernetes Jobs, their output.
type world struct {
	*system

	records *jobstore.Store
	gcs     *storage.Client
	mapper  kube.Mapper
	// versioned is a bucket that keeps what is deleted.
	versioned string
}

func newWorld(s *system) *world {
	s.t.Helper()
	gcs, err := shared.GCS.Client(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = gcs.Close() })
	return &world{system: s, records: s.recordsAt(heard()), gcs: gcs, versioned: s.ID + "-versioned", mapper: kube.Mapper{
		Cluster: stack.ClusterName, Source: resiliencyv1.Source_SOURCE_EVENT_STREAMER, Reporter: "e2e",
		Tenants: map[string]string{s.Namespace: s.Tenant},
	}}
}

// recordsAt writes records as if that were now: what it writes was last heard of
// then. It announces nothing, as that has been done.
func (s *system) recordsAt(now time.Time) *jobstore.Store {
	return jobstore.New(s.firestore, jobstore.WithWriter("e2e"), jobstore.WithTimeout(patience),
		jobstore.WithClock(func() time.Time { return now }))
}

// apply puts claims on record, in any order, as the merge rule has none.
func (w *world) apply(store *jobstore.Store, claims ...job.Observation) {
	w.t.Helper()
	var group errgroup.Group
	group.SetLimit(16)
	for i := range claims {
		group.Go(func() error {
			_, err := store.Apply(w.t.Context(), &claims[i])
			return err
		})
	}
	if err := group.Wait(); err != nil {
		w.t.Fatal(err)
	}
}

// silent is the claim of a job that a stage has in hand and that was heard of two
// hours ago.
func (w *world) silent(id, stage string) job.Observation {
	ordinals := map[string]int32{
		job.StageBackend: job.OrdinalBackend, job.StageFaceDetection: job.OrdinalFaceDetection, job.StageKubernetes: job.OrdinalKubernetes,
	}
	ordinal, known := ordinals[stage]
	if !known {
		ordinal = 40
	}
	return job.Observation{
		EventID: job.EventID(w.ID, id, stage), JobID: id, Attempt: 1, OccurredAt: heard(), Ordinal: ordinal, Stage: stage,
		Kind: job.KindStatus, State: job.StateRunning, Source: resiliencyv1.Source_SOURCE_SDK,
		Owner: "ana", Tenant: w.Tenant, CorrelationID: "request-" + id,
	}
}

// inKubernetes is the claim of a job that was seen running in the cluster.
func (w *world) inKubernetes(id string, k job.Kubernetes) job.Observation {
	o := w.silent(id, job.StageKubernetes)
	o.OccurredAt, o.Kubernetes, o.Source = k.CreatedAt, k, resiliencyv1.Source_SOURCE_EVENT_STREAMER
	return o
}

// of names a Kubernetes Job as a record does.
func (w *world) of(j *batchv1.Job) job.Kubernetes {
	k := job.Kubernetes{
		Cluster: stack.ClusterName, Namespace: j.Namespace, Name: j.Name, UID: string(j.UID),
		CreatedAt: j.CreationTimestamp.UTC(), End: job.StageEndsJob,
	}
	if j.Annotations[stack.AnnotationStageFinal] == "false" {
		k.End = job.StageGoesOn
	}
	return k
}

// prefix is where a job writes, without the bucket.
func (w *world) prefix(id string) string { return w.ID + "/" + id + "/" }

func (w *world) put(bucket, object, content string) {
	w.t.Helper()
	writer := w.gcs.Bucket(bucket).Object(object).NewWriter(w.t.Context())
	if _, err := writer.Write([]byte(content)); err != nil {
		w.t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		w.t.Fatalf("write gs://%s/%s: %v", bucket, object, err)
	}
}

// mark writes the marker of a run.
func (w *world) mark(id, content string) {
	w.t.Helper()
	w.put(stack.OutputBucket, w.prefix(id)+"_SUCCESS", content)
}

// putAndDelete leaves a marker that only the history of its bucket still has.
func (w *world) putAndDelete(id, content string) {
	w.t.Helper()
	if err := w.gcs.Bucket(w.versioned).Create(w.t.Context(), w.ID, &storage.BucketAttrs{VersioningEnabled: true}); err != nil {
		w.t.Fatal(err)
	}
	object := w.prefix(id) + "_SUCCESS"
	w.put(w.versioned, object, content)
	if err := w.gcs.Bucket(w.versioned).Object(object).Delete(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// heartbeat says that status-updater is well.
func (w *world) heartbeat() {
	w.t.Helper()
	err := w.records.Beat(w.t.Context(), jobstore.Heartbeat{
		Service: updater, Instance: "e2e", At: time.Now(), Every: time.Minute, Receiving: true,
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// phase stores a step of a job, as phase-tracer does.
func (w *world) phase(id string, at time.Time) {
	w.t.Helper()
	_, err := w.firestore.Collection(jobstore.CollectionPhases(id)).Doc("step").Set(w.t.Context(), map[string]any{
		jobstore.PhaseFieldOccurredAt: at, jobstore.PhaseFieldSource: "SDK", jobstore.PhaseFieldName: "resize",
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// noRoomForDeadlines is a quota that is used up for pods with a deadline, and for
// no others.
func (w *world) noRoomForDeadlines() {
	w.t.Helper()
	quotas := shared.Kube().CoreV1().ResourceQuotas(w.Namespace)
	_, err := quotas.Create(w.t.Context(), &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "full"},
		Spec: corev1.ResourceQuotaSpec{
			Hard:   corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")},
			Scopes: []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeTerminating},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.eventually("the quota to hold", func() (bool, string) {
		q, err := quotas.Get(w.t.Context(), "full", metav1.GetOptions{})
		return err == nil && len(q.Status.Hard) > 0, fmt.Sprint(err)
	})
}

// stand is what the cluster shows of a Job now.
type stand struct {
	job  *batchv1.Job // nil when there is none
	pods []corev1.Pod
	// refused are the words with which pods of it could not be made.
	refused []string
}

// stands are those of all Jobs of the namespace, by name.
func (w *world) stands(ctx context.Context) (map[string]*stand, error) {
	all := map[string]*stand{}
	of := func(name string) *stand {
		if all[name] == nil {
			all[name] = &stand{}
		}
		return all[name]
	}
	jobs, err := shared.Kube().BatchV1().Jobs(w.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	for i := range jobs.Items {
		of(jobs.Items[i].Name).job = &jobs.Items[i]
	}
	pods, err := shared.Kube().CoreV1().Pods(w.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	for _, pod := range pods.Items {
		s := of(pod.Labels[batchv1.JobNameLabel])
		s.pods = append(s.pods, pod)
	}
	events, err := shared.Kube().CoreV1().Events(w.Namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=FailedCreate"})
	if err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	for _, e := range events.Items {
		s := of(e.InvolvedObject.Name)
		s.refused = append(s.refused, e.Message)
	}
	return all, nil
}

// facts are what a watcher says of a Job.
func (w *world) facts(j *batchv1.Job) []job.Observation {
	w.t.Helper()
	facts, err := w.mapper.Job(kube.ReadJob(j))
	if err != nil {
		w.t.Fatal(err)
	}
	return facts.Observations
}
