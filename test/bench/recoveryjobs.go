package bench

import (
	"context"
	"fmt"
	"time"

	"cloud.google.com/go/firestore"
	"golang.org/x/sync/errgroup"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/test/stack"
)

// fate is what is the matter with a stuck job. They come in the proportions of an
// outage after which most jobs had done well: 6, 2, 1 and 1 of ten. On the last
// two no verdict is given without a question of its own to the API server.
type fate int

const (
	// fateMarked: its Kubernetes Job is gone, its marker is in the bucket.
	fateMarked fate = iota
	// fateEnded: its Kubernetes Job has ended and nobody said so.
	fateEnded
	// fateGone: its Kubernetes Job is gone and has left nothing.
	fateGone
	// fateSilent: its backend says nothing any more.
	fateSilent
)

// outcome is what a record says after a run.
type outcome struct {
	state, evidence string
	resumes         int64
}

func fates() map[fate]outcome {
	return map[fate]outcome{
		fateMarked: {state: "SUCCEEDED", evidence: "OUTPUT"},
		fateEnded:  {state: "SUCCEEDED", evidence: "CONDITION"},
		fateGone:   {state: "FAILED", evidence: "ABSENCE"},
		fateSilent: {state: "RUNNING", resumes: 1},
	}
}

// fateOf is that of stuck job n; all shards get some of each.
func fateOf(n int) fate {
	switch n % 10 {
	case 9:
		return fateSilent
	case 8:
		return fateGone
	case 7, 6:
		return fateEnded
	default:
		return fateMarked
	}
}

// stuckJobs are the jobs that a run has to judge.
type stuckJobs struct {
	project *stack.Project
	// jobs are the Kubernetes Jobs that are there, by job id.
	jobs map[string]job.Kubernetes
	now  time.Time
}

func stuckID(n int) string { return fmt.Sprintf("stuck-%04d", n) }

func (j *stuckJobs) place(id string) string { return j.project.ID + "/" + id + "/" }

// running says that a job runs, as event-streamer would have.
func (j *stuckJobs) running(id string) job.Observation {
	created := j.now.Add(-2 * time.Hour).Truncate(time.Second).UTC()
	k, there := j.jobs[id]
	if !there {
		k = job.Kubernetes{
			Cluster: stack.ClusterName, Namespace: j.project.Namespace, Name: id, UID: job.EventID("uid", id), CreatedAt: created,
		}
	}
	return job.Observation{
		JobID: id, Attempt: 1, Ordinal: job.OrdinalKubernetes, Stage: job.StageKubernetes, OccurredAt: k.CreatedAt,
		Source: resiliencyv1.Source_SOURCE_EVENT_STREAMER, CorrelationID: "request-" + id, Owner: "team",
		Tenant: j.project.Tenant, OutputURI: "gs://" + stack.OutputBucket + "/" + j.place(id), Kubernetes: k,
		Kind: job.KindStatus, State: job.StateRunning, Generation: 1,
	}
}

// inBackend says that a job is in the backend, as the backend would have.
func (j *stuckJobs) inBackend(id string) job.Observation {
	o := j.running(id)
	o.Ordinal, o.Stage, o.Kubernetes = job.OrdinalBackend, job.StageBackend, job.Kubernetes{}
	o.Source = resiliencyv1.Source_SOURCE_SDK
	return o
}

// document is a record that last changed at a time and is looked at from another
// on.
func document(o *job.Observation, updated, check time.Time) map[string]any {
	record := job.Of(o)
	return jobstore.Fields(&record, &jobstore.Meta{
		Revision: 2, UpdatedAt: updated.UTC().Truncate(job.Precision), UpdatedBy: "status-updater-bench",
		CheckAfter: check.UTC().Truncate(job.Precision), Shard: jobstore.ShardOf(o.JobID, jobstore.DefaultShards),
	})
}

// stick writes the stuck jobs' records, whatever a run has made of them.
func (j *stuckJobs) stick(ctx context.Context, client *firestore.Client) error {
	if err := clearOutbox(ctx, client); err != nil {
		return err
	}
	return inBatches(ctx, client, stuckRecords, func(n int) docWrite {
		o := j.running(stuckID(n))
		if fateOf(n) == fateSilent {
			o = j.inBackend(stuckID(n))
		}
		at := j.now.Add(-2*time.Hour + time.Duration(n)*time.Second)
		return docWrite{client.Collection("jobs").Doc(o.JobID), document(&o, at, at)}
	})
}

// fillOthers writes the records of jobs with which nothing is wrong: nine of ten
// are over, the tenth runs and was looked at a while ago.
func (j *stuckJobs) fillOthers(ctx context.Context, client *firestore.Client, count int) error {
	return inBatches(ctx, client, count, func(n int) docWrite {
		o := j.running(fmt.Sprintf("other-%06d", n))
		at := j.now.Add(-2 * time.Hour)
		check := j.now.Add(2 * time.Hour)
		if n%10 != 0 {
			check = at
			o.State, o.Evidence, o.OccurredAt = job.StateSucceeded, job.EvidenceCondition, o.OccurredAt.Add(time.Minute)
		}
		return docWrite{client.Collection("jobs").Doc(o.JobID), document(&o, at, check)}
	})
}

// The size and number of commits at once: Firestore's limit, and what the
// emulator is quick with.
const commitWrites, commitsAtOnce = 500, 8

// docWrite sets a document, or deletes it without fields.
type docWrite struct {
	ref    *firestore.DocumentRef
	fields map[string]any
}

// inBatches commits so many writes.
func inBatches(ctx context.Context, client *firestore.Client, count int, write func(n int) docWrite) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(commitsAtOnce)
	for from := 0; from < count; from += commitWrites {
		group.Go(func() error {
			batch := client.Batch() //nolint:staticcheck // the one way to a commit of many writes without a transaction
			for n := from; n < min(from+commitWrites, count); n++ {
				if w := write(n); w.fields == nil {
					batch.Delete(w.ref)
				} else {
					batch.Set(w.ref, w.fields)
				}
			}
			if _, err := batch.Commit(ctx); err != nil {
				return fmt.Errorf("store records %d to %d: %w", from, min(from+commitWrites, count)-1, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// clearOutbox removes what a run left to be sent: no status-updater runs here
// that would, and the same verdict on the same revision has the same entry.
func clearOutbox(ctx context.Context, client *firestore.Client) error {
	refs, err := client.Collection("outbox").DocumentRefs(ctx).GetAll()
	if err != nil {
		return fmt.Errorf("list the outbox: %w", err)
	}
	return inBatches(ctx, client, len(refs), func(n int) docWrite { return docWrite{ref: refs[n]} })
}
