//go:build integration

package jobstore_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/resilience"
)

// client connects to the emulator under a project of the test's own.
func client(t *testing.T) *firestore.Client {
	t.Helper()
	if os.Getenv("FIRESTORE_EMULATOR_HOST") == "" {
		t.Fatal("FIRESTORE_EMULATOR_HOST is not set: integration tests need the Firestore emulator (`make test` starts it)")
	}
	c, err := jobstore.NewClient(t.Context(), "jobstore-"+uuid.NewString()[:8], "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// The first calls of a fresh emulator are slow.
const patient = 20 * time.Second

func store(c *firestore.Client, writer string, opts ...jobstore.Option) *jobstore.Store {
	return jobstore.New(c, append([]jobstore.Option{
		jobstore.WithWriter(writer), jobstore.WithOutbox(perRevision), jobstore.WithTimeout(patient),
	}, opts...)...)
}

// perRevision makes one entry for each revision.
func perRevision(before, after *job.Record, revision int64) ([]jobstore.Entry, error) {
	return []jobstore.Entry{{
		ID: fmt.Sprintf("%s-%d", after.JobID, revision), Topic: "job-updates", Type: "test.Update",
		Payload:    []byte(job.StateName(before.Status.State) + ">" + job.StateName(after.Status.State)),
		Attributes: map[string]string{"job_id": after.JobID},
	}}, nil
}

var epoch = time.Date(2026, 11, 21, 10, 0, 0, 123_456_000, time.UTC)

// claims are what two sources say of two runs of one job.
func claims(jobID string) []*job.Observation {
	var out []*job.Observation
	add := func(source job.Source, attempt int32, second int, set func(*job.Observation)) {
		o := &job.Observation{
			EventID: uuid.NewString(), JobID: jobID, Attempt: attempt, Source: source,
			OccurredAt: epoch.Add(time.Duration(second) * time.Second),
			Ordinal:    job.OrdinalKubernetes, Stage: job.StageKubernetes, Kind: job.KindStatus,
			Owner: fmt.Sprintf("owner-%d", source), CorrelationID: "req-1",
			Kubernetes: job.Kubernetes{
				Cluster: "c", Namespace: "n", Name: jobID, UID: fmt.Sprintf("u-%d", attempt), CreatedAt: epoch,
			},
		}
		set(o)
		out = append(out, o)
	}
	for source := job.Source(1); source <= 3; source++ {
		for attempt := int32(1); attempt <= 2; attempt++ {
			for i, state := range []job.State{job.StatePending, job.StateRunning, job.StateSuspended, job.StateRunning} {
				add(source, attempt, i, func(o *job.Observation) { o.State = state })
			}
			add(source, attempt, 5, func(o *job.Observation) {
				o.Kind, o.Cause = job.KindCause, job.CauseDetail{Cause: job.CauseOOM, Pod: "p", ExitCode: new(int32(137))}
			})
			add(source, attempt, 2, func(o *job.Observation) { o.Kind, o.Delayed, o.DelayReason = job.KindDelay, true, "no room" })
			add(source, attempt, 6, func(o *job.Observation) {
				o.State, o.Evidence = job.StateFailed, job.EvidenceCondition
				o.Cause, o.Detail = job.CauseDetail{Cause: job.CauseBackoffLimit}, "Failed=True"
			})
		}
	}
	return out
}

func TestEmulator_ManyWritersEqualThePureFold(t *testing.T) {
	t.Parallel()
	const goroutines, processes = 16, 4
	c := client(t)
	stores := make([]*jobstore.Store, processes)
	for i := range stores {
		stores[i] = store(c, fmt.Sprintf("w%d", i), jobstore.WithMaxTries(50))
	}
	all := claims("j")
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			mine := append([]*job.Observation(nil), all...)
			rand.Shuffle(len(mine), func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
			for _, o := range mine {
				if _, err := stores[g%processes].Apply(context.Background(), o); err != nil {
					t.Errorf("goroutine %d: %v", g, err)
				}
			}
		})
	}
	wg.Wait()
	var want job.Record
	for _, o := range all {
		want.Apply(o)
	}
	got, found, err := stores[0].Get(t.Context(), "j")
	if err != nil || !found {
		t.Fatalf("found %v, error %v", found, err)
	}
	if diff := cmp.Diff(&want, got.Record); diff != "" {
		t.Errorf("record is not the fold (-want +got):\n%s", diff)
	}
	checkOutbox(t, stores[0], got.Meta.Revision)
}

// checkOutbox wants one entry for each revision, read back as it was built.
func checkOutbox(t *testing.T, s *jobstore.Store, revisions int64) {
	t.Helper()
	seen := map[string]bool{}
	for after := ""; ; {
		page, err := s.PendingEntries(t.Context(), after, 7)
		if err != nil || len(page.Unreadable) > 0 {
			t.Fatalf("error %v, unreadable %v", err, page.Unreadable)
		}
		for _, e := range page.Entries {
			seen[e.ID] = true
			if e.Topic != "job-updates" || !bytes.Contains(e.Payload, []byte(">")) || e.Attributes["job_id"] != "j" || e.CreatedAt.IsZero() {
				t.Errorf("entry %+v", e)
			}
		}
		if after = page.Next; after == "" {
			break
		}
	}
	for revision := int64(1); revision <= revisions; revision++ {
		if !seen[fmt.Sprintf("j-%d", revision)] {
			t.Errorf("revision %d left no entry", revision)
		}
	}
	if int64(len(seen)) != revisions {
		t.Errorf("%d entries for %d revisions", len(seen), revisions)
	}
}

func TestEmulator_DocumentLayout(t *testing.T) {
	t.Parallel()
	c := client(t)
	s := store(c, "updater-1", jobstore.WithClock(func() time.Time { return epoch }))
	for _, o := range claims("j") {
		if _, err := s.Apply(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	snap, err := c.Collection("jobs").Doc("j").Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := snap.Data()
	merge, _ := got["merge"].(map[string]any)
	for _, register := range []string{"status", "cause", "delayed", "owner", "correlation_id", "kubernetes"} {
		if merge[register] == nil {
			t.Errorf("merge.%s is missing", register)
		}
	}
	delete(got, "merge")
	verdict, _ := got["verdict"].(map[string]any)
	if verdict["evidence"] != "CONDITION" || verdict["detail"] != "Failed=True" {
		t.Errorf("verdict %v", verdict)
	}
	delete(got, "verdict")
	delete(got, "revision")
	want := map[string]any{
		"state": "FAILED", "active": false, "stage": "kubernetes", "stage_ordinal": int64(30), "stage_done": false,
		"attempt": int64(2), "cause": "OOM", "delayed": false, "delay_reason": "", "vanished": false,
		"owner": "owner-1", "tenant": "", "correlation_id": "req-1", "output_uri": "",
		"kubernetes": map[string]any{
			"cluster": "c", "namespace": "n", "name": "j", "uid": "u-2", "created_at": epoch.Truncate(time.Second),
		},
		"attempt_started_at": epoch.Truncate(time.Second), "layout": int64(1),
		"occurred_at": epoch.Add(6 * time.Second), "updated_at": epoch, "updated_by": "updater-1",
		"check_after": epoch, "shard": jobstore.ShardOf("j", jobstore.DefaultShards),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
}

// Fields of others survive our update, and a foreign write is a conflict that
// ends in a re-read.
func TestEmulator_ForeignWrites(t *testing.T) {
	t.Parallel()
	c := client(t)
	s := store(c, "w")
	all := claims("j")
	if _, err := s.Apply(t.Context(), all[0]); err != nil {
		t.Fatal(err)
	}
	doc := c.Collection("jobs").Doc("j")
	if _, err := doc.Update(t.Context(), []firestore.Update{
		{Path: "note", Value: "seen by ann"}, {Path: "merge.progress", Value: map[string]any{"done": 1}},
	}); err != nil {
		t.Fatal(err)
	}
	r, err := s.Apply(t.Context(), all[1])
	if err != nil || r.Tries != 2 || r.Revision != 2 {
		t.Fatalf("result %+v, error %v; want revision 2 in 2 tries", r, err)
	}
	snap, err := doc.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if note, _ := snap.DataAt("note"); note != "seen by ann" {
		t.Errorf("note is %v", note)
	}
	if done, err := snap.DataAt("merge.progress.done"); done != int64(1) {
		t.Errorf("merge.progress.done is %v, error %v", done, err)
	}
}

func TestEmulator_TooLargeIsPermanent(t *testing.T) {
	t.Parallel()
	s := store(client(t), "w", jobstore.WithOutbox(func(_, _ *job.Record, _ int64) ([]jobstore.Entry, error) {
		return []jobstore.Entry{{ID: "big", Topic: "t", Payload: bytes.Repeat([]byte("x"), 2<<20)}}, nil
	}))
	_, err := s.Apply(t.Context(), claims("j")[0])
	if !resilience.IsPermanent(err) {
		t.Fatalf("error %v is %s", err, resilience.CategoryOf(err))
	}
	if _, found, err := s.Get(t.Context(), "j"); found || err != nil {
		t.Errorf("record without its entry: found %v, error %v", found, err)
	}
}

func TestEmulator_DeletedDocumentBeginsAnew(t *testing.T) {
	t.Parallel()
	c := client(t)
	s := store(c, "w", jobstore.WithOutbox(nil))
	all := claims("j")
	if _, err := s.Apply(t.Context(), all[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Collection("jobs").Doc("j").Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r, err := s.Apply(t.Context(), all[1]); err != nil || r.Revision != 1 {
		t.Errorf("result %+v, error %v", r, err)
	}
}

func TestEmulator_BeatPingAndDelete(t *testing.T) {
	t.Parallel()
	c := client(t)
	s := store(c, "w")
	if err := s.Ping(t.Context(), 0); err != nil {
		t.Error(err)
	}
	if err := s.Beat(t.Context(), jobstore.Heartbeat{Service: "status-updater", Instance: "w", At: epoch}); err != nil {
		t.Fatal(err)
	}
	snap, err := c.Collection("heartbeats").Doc("status-updater").Get(t.Context())
	if err != nil || snap.Data()["at"] != epoch {
		t.Errorf("heartbeat %v, error %v", snap.Data(), err)
	}
	if all, err := s.Heartbeats(t.Context(), "status-updater"); err != nil || len(all) != 1 || !all[0].At.Equal(epoch) {
		t.Errorf("heartbeats %v, error %v", all, err)
	}
	if _, err := s.Apply(t.Context(), claims("j")[0]); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteEntries(t.Context(), []string{"j-1", "gone"}); err != nil {
		t.Fatal(err)
	}
	if page, err := s.PendingEntries(t.Context(), "", 10); err != nil || len(page.Entries) != 0 {
		t.Errorf("outbox %+v, error %v", page, err)
	}
}

// An emulator that is not there is Firestore's fault and takes no longer than
// the time limit.
//
//nolint:paralleltest // sets the environment
func TestEmulator_AbsentIsADependency(t *testing.T) {
	c := func() *firestore.Client {
		t.Setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
		c, err := firestore.NewClient(t.Context(), "jobstore-absent")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}()
	defer func() { _ = c.Close() }()
	begin := time.Now()
	_, err := store(c, "w", jobstore.WithTimeout(300*time.Millisecond)).Apply(t.Context(), claims("j")[0])
	if resilience.DependencyOf(err) != "firestore" || resilience.CategoryOf(err) != resilience.CategoryDependency {
		t.Errorf("error %v is %s", err, resilience.CategoryOf(err))
	}
	if took := time.Since(begin); took > patient || !strings.Contains(err.Error(), "read record j") {
		t.Errorf("took %s: %v", took, err)
	}
}
