package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"cloud.google.com/go/firestore"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/test/stack"
)

// newStuckJobs makes what the evidence is: the Kubernetes Jobs that have ended,
// and the markers in the bucket.
func newStuckJobs(ctx context.Context, s *stack.Stack, p *stack.Project) (*stuckJobs, error) {
	j := &stuckJobs{project: p, jobs: map[string]job.Kubernetes{}, now: time.Now()}
	if err := j.createEnded(ctx, s); err != nil {
		return nil, err
	}
	return j, j.writeMarkers(ctx, s)
}

// createEnded creates the Kubernetes Jobs that have ended.
func (j *stuckJobs) createEnded(ctx context.Context, s *stack.Stack) error {
	var mu sync.Mutex
	return spread(ctx, creators, (stuckRecords+creators-1)/creators, func(ctx context.Context, worker, step int) error {
		n := step*creators + worker
		if n >= stuckRecords || fateOf(n) != fateEnded {
			return nil
		}
		created, err := createFinishedJob(ctx, s.Kube(), j.project.Namespace, stuckID(n))
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		j.jobs[created.Name] = job.Kubernetes{
			Cluster: stack.ClusterName, Namespace: created.Namespace, Name: created.Name, UID: string(created.UID),
			CreatedAt: created.CreationTimestamp.UTC(),
		}
		return nil
	})
}

// writeMarkers leaves the markers of the runs that succeeded.
func (j *stuckJobs) writeMarkers(ctx context.Context, s *stack.Stack) (err error) {
	client, err := s.GCS.Client(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	bucket := client.Bucket(stack.OutputBucket)
	return spread(ctx, commitsAtOnce, (stuckRecords+commitsAtOnce-1)/commitsAtOnce, func(ctx context.Context, worker, step int) error {
		n := step*commitsAtOnce + worker
		if n >= stuckRecords || fateOf(n) != fateMarked {
			return nil
		}
		o := j.running(stuckID(n))
		w := bucket.Object(j.place(o.JobID) + "_SUCCESS").NewWriter(ctx)
		w.Metadata = map[string]string{"uid": o.Kubernetes.UID}
		if err := w.Close(); err != nil {
			return fmt.Errorf("write the marker of job %s: %w", o.JobID, err)
		}
		return nil
	})
}

// bareDue is how long Firestore's client alone takes to read what is due, in the
// pages that recovery-job reads.
func bareDue(ctx context.Context, client *firestore.Client) (seconds float64, err error) {
	const page = 100
	begun, found := time.Now(), 0
	for shard := range jobstore.DefaultShards {
		query := client.Collection("jobs").Where("shard", "==", shard).Where("active", "==", true).
			Where("check_after", "<=", begun).OrderBy("check_after", firestore.Asc).OrderBy(firestore.DocumentID, firestore.Asc).Limit(page)
		for next := query; ; {
			docs, err := next.Documents(ctx).GetAll()
			if err != nil {
				return 0, fmt.Errorf("bare query of shard %d: %w", shard, err)
			}
			if found += len(docs); len(docs) < page {
				break
			}
			next = query.StartAfter(docs[page-1])
		}
	}
	if found != stuckRecords {
		return 0, fmt.Errorf("the bare queries found %d records instead of %d", found, stuckRecords)
	}
	return time.Since(begun).Seconds(), nil
}

// check makes sure that each job got its verdict: a run that is quick because it
// judges nothing measures nothing.
func (j *stuckJobs) check(ctx context.Context, client *firestore.Client) error {
	refs := make([]*firestore.DocumentRef, stuckRecords)
	for n := range refs {
		refs[n] = client.Collection("jobs").Doc(stuckID(n))
	}
	docs, err := client.GetAll(ctx, refs)
	if err != nil {
		return fmt.Errorf("read the records: %w", err)
	}
	for n, doc := range docs {
		if want, got := fates()[fateOf(n)], stood(doc.Data()); got != want {
			return fmt.Errorf("job %s ended as %+v instead of %+v", stuckID(n), got, want)
		}
	}
	return nil
}

// stood is what a record says.
func stood(record map[string]any) outcome {
	var o outcome
	o.state, _ = record["state"].(string)
	if verdict, ok := record["verdict"].(map[string]any); ok {
		o.evidence, _ = verdict["evidence"].(string)
	}
	if recovery, ok := record["recovery"].(map[string]any); ok {
		o.resumes, _ = recovery["resumes"].(int64)
	}
	return o
}
