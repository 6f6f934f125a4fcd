package jobstore

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"pgregory.net/rapid"

	"github.com/envision/resiliency/pkg/job"
)

var testMeta = Meta{
	Revision: 3, UpdatedAt: epoch, UpdatedBy: "updater-1", CheckAfter: epoch.Add(time.Hour), Shard: 5,
}

func decodeFields(t testing.TB, fields map[string]any) *entry {
	t.Helper()
	e, err := decode(&document{id: "j", exists: true, fields: fields, updateTime: epoch})
	if err != nil {
		t.Fatalf("decode: %v", err)
	}
	return e
}

func TestDocument_RoundTripIsIdentity(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := drawRecord(t, job.Record{})
		e, err := decode(&document{id: "j", exists: true, fields: clone(Fields(r, &testMeta)).(map[string]any)})
		if err != nil {
			t.Fatalf("decode: %v", err)
		}
		if diff := cmp.Diff(r, e.record); diff != "" || !r.Equal(e.record) {
			t.Fatalf("record changed on its way (-written +read):\n%s", diff)
		}
		if diff := cmp.Diff(testMeta, e.meta); diff != "" {
			t.Fatalf("bookkeeping changed on its way (-written +read):\n%s", diff)
		}
	})
}

func TestChanges_MakeOneDocumentIntoTheOther(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		before := drawRecord(t, job.Record{})
		after := drawRecord(t, *before)
		old := &entry{record: before, meta: Meta{Revision: 2}, layout: rapid.SampledFrom([]int64{0, layout}).Draw(t, "layout")}
		got := clone(Fields(before, &old.meta)).(map[string]any)
		got["layout"] = old.layout
		for _, u := range changes(old, after, &testMeta) {
			setPath(got, u.path, clone(u.value))
		}
		if diff := cmp.Diff(Fields(after, &testMeta), got); diff != "" {
			t.Fatalf("document is not that of the new record (-want +got):\n%s", diff)
		}
	})
}

// No query may miss a record, however little is known of it.
func TestFields_EveryRecordCanBeFound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		fields := Fields(drawRecord(t, job.Record{}), &testMeta)
		for _, name := range []string{"state", "stage"} {
			if s, _ := fields[name].(string); s == "" {
				t.Fatalf("field %s is %#v", name, fields[name])
			}
		}
		for _, name := range []string{"shard", "check_after", "active", "updated_at", "revision"} {
			if fields[name] == nil {
				t.Fatalf("field %s is missing", name)
			}
		}
	})
}

func TestFields_Document(t *testing.T) {
	t.Parallel()
	code := int32(137)
	r := job.Of(&job.Observation{
		JobID: "j", Attempt: 1, OccurredAt: epoch, Ordinal: job.OrdinalKubernetes, Stage: job.StageKubernetes,
		Source: 1, Owner: "ann", Tenant: "vision", CorrelationID: "req-1", OutputURI: "gs://out/j/",
		Kubernetes: job.Kubernetes{Cluster: "c1", Namespace: "batch", Name: "train", UID: "u-1", CreatedAt: epoch.Add(-time.Minute)},
		Kind:       job.KindStatus, State: job.StateFailed, Evidence: job.EvidenceCondition, Detail: "Failed=True",
		Cause: job.CauseDetail{Cause: job.CauseOOM, Message: "killed", Pod: "train-x", Container: "main", ExitCode: &code},
	})
	got := Fields(&r, &testMeta)
	delete(got, "merge")
	want := map[string]any{
		"state": "FAILED", "active": false, "stage": "kubernetes", "stage_ordinal": int64(30), "stage_done": false,
		"attempt": int64(1), "attempt_started_at": epoch.Add(-time.Minute), "cause": "OOM", "delayed": false, "delay_reason": "", "vanished": false,
		"owner": "ann", "tenant": "vision", "correlation_id": "req-1", "output_uri": "gs://out/j/",
		"kubernetes": map[string]any{
			"cluster": "c1", "namespace": "batch", "name": "train", "uid": "u-1", "created_at": epoch.Add(-time.Minute),
		},
		"verdict": map[string]any{
			"evidence": "CONDITION", "final": true, "detail": "Failed=True",
			"cause": map[string]any{"cause": "OOM", "message": "killed", "pod": "train-x", "container": "main", "exit_code": int64(137)},
		},
		"occurred_at": epoch, "revision": int64(3), "updated_at": epoch, "updated_by": "updater-1",
		"check_after": epoch.Add(time.Hour), "shard": int64(5), "layout": int64(1),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
}

func TestDecode_NamesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		path  []string
		value any
		want  string
		newer bool
	}{
		{"unknown_state", []string{"merge", "status", "state"}, "PAUSED", "merge.status.state", true},
		{"unknown_evidence", []string{"merge", "status", "evidence"}, "ORACLE", "merge.status.evidence", true},
		{"unknown_cause", []string{"merge", "cause", "cause"}, "GREMLINS", "merge.cause.cause", true},
		{"state_is_a_number", []string{"merge", "status", "state"}, int64(4), "merge.status.state", false},
		{"status_is_text", []string{"merge", "status"}, "x", "merge.status", false},
		{"merge_is_text", []string{"merge"}, "x", "merge", false},
		{"attempt_is_huge", []string{"merge", "status", "attempt"}, int64(1) << 40, "merge.status.attempt", false},
		{"revision_is_text", []string{"revision"}, "3", "revision", false},
		{"time_is_text", []string{"merge", "delayed", "occurred_at"}, "now", "merge.delayed.occurred_at", false},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			fields := Fields(&job.Record{JobID: "j"}, &testMeta)
			setPath(fields, tc.path, tc.value)
			_, err := decode(&document{id: "j", exists: true, fields: fields})
			if err == nil || !strings.Contains(err.Error(), "field "+tc.want+":") {
				t.Fatalf("error %v does not name field %s", err, tc.want)
			}
			if got := errors.Is(err, ErrNewerRelease); got != tc.newer {
				t.Errorf("ErrNewerRelease: %v, want %v in %v", got, tc.newer, err)
			}
		})
	}
}

// What a newer release put beside our fields is neither an error nor lost.
func TestDecode_LeavesUnknownFieldsAlone(t *testing.T) {
	t.Parallel()
	r := &job.Record{JobID: "j", Owner: job.Described{Value: "ann", SourceRank: 1}}
	fields := Fields(r, &testMeta)
	fields["colour"] = "red"
	setPath(fields, []string{"merge", "progress"}, map[string]any{"done": int64(1)})
	if e := decodeFields(t, fields); !e.record.Equal(r) {
		t.Errorf("record read as %+v", e.record)
	}
	after := &job.Record{JobID: "j", Owner: job.Described{Value: "bob", SourceRank: 1}}
	for _, u := range changes(&entry{record: r}, after, &testMeta) {
		if u.path[0] == "colour" || len(u.path) == 1 && u.path[0] == "merge" {
			t.Errorf("update overwrites %v", u.path)
		}
	}
}

// A field that is written costs Firestore an index entry, and all of them together
// a good part of what a commit costs.
func TestChanges_NamesOnlyWhatDiffers(t *testing.T) {
	t.Parallel()
	claim := job.Observation{
		JobID: "j", Attempt: 1, OccurredAt: epoch, Ordinal: 30, Stage: "kubernetes", Source: 1, Owner: "ann",
		Kubernetes: job.Kubernetes{UID: "u", CreatedAt: epoch}, Kind: job.KindStatus, State: job.StateRunning,
	}
	before := job.Of(&claim)
	claim.State, claim.OccurredAt = job.StateSuspended, epoch.Add(time.Second)
	after := before
	after.Apply(&claim)
	old := entry{record: &before, meta: testMeta, layout: layout}
	next := testMeta
	next.Revision, next.UpdatedAt, next.CheckAfter = 4, epoch.Add(time.Second), epoch.Add(2*time.Hour)
	names := func(old entry) []string {
		var paths []string
		for _, u := range changes(&old, &after, &next) {
			paths = append(paths, strings.Join(u.path, "."))
		}
		slices.Sort(paths)
		return paths
	}
	want := []string{"check_after", "merge.status", "occurred_at", "revision", "state", "updated_at"}
	if diff := cmp.Diff(want, names(old)); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	for _, other := range []int64{0, layout + 1} {
		old.layout = other
		if got, all := names(old), len(topFields(&after, &next))+1; len(got) != all || !slices.Contains(got, "layout") {
			t.Errorf("from layout %d only %d of %d fields are written: %v", other, len(got), all, got)
		}
	}
}

// Firestore takes 1 MiB. The largest record must stay far below.
func TestFields_LargestDocument(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1<<20)
	name := strings.Repeat("n", 253)
	r := job.Record{}
	for kind := job.KindStatus; kind <= job.KindDelay; kind++ {
		r.Apply(&job.Observation{
			JobID: "j", Attempt: 1, OccurredAt: epoch, Stage: strings.Repeat("s", 63), Source: 1, Kind: kind,
			Owner: long, Tenant: long, CorrelationID: long, OutputURI: long,
			Kubernetes: job.Kubernetes{Cluster: name, Namespace: name, Name: name, UID: name, CreatedAt: epoch},
			State:      job.StateFailed, Evidence: job.EvidenceCondition, Detail: long, Delayed: true, DelayReason: long,
			Cause: job.CauseDetail{Cause: job.CauseOOM, Message: long, Reason: long, Pod: long, Container: long, Node: long},
		})
	}
	if got := sizeOf(t, Fields(&r, &testMeta)); got > 128<<10 {
		t.Errorf("largest document has %d bytes", got)
	}
}

// sizeOf is about the size on the wire: times count as text, which is longer.
func sizeOf(t *testing.T, fields map[string]any) int {
	t.Helper()
	plain, err := structpb.NewStruct(textual(fields).(map[string]any))
	if err != nil {
		t.Fatal(err)
	}
	return proto.Size(plain)
}

func textual(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, item := range v {
			out[k] = textual(item)
		}
		return out
	case time.Time:
		return v.String()
	default:
		return v
	}
}

func TestShardOf_SpreadsAndStays(t *testing.T) {
	t.Parallel()
	const shards, jobs = 16, 16_000
	var count [shards]int
	for i := range jobs {
		id := fmt.Sprintf("job-2026-11-21-%05d", i)
		shard := ShardOf(id, shards)
		if again := ShardOf(id, shards); again != shard {
			t.Fatalf("%s is in shard %d and %d", id, shard, again)
		}
		count[shard]++
	}
	for shard, n := range count {
		if n < jobs/shards*8/10 || n > jobs/shards*12/10 {
			t.Errorf("shard %d holds %d of %d jobs: %v", shard, n, jobs, count)
		}
	}
	if got := ShardOf("job-1", 16); got != 6 {
		t.Errorf("job-1 moved to shard %d: stored records would be where nobody looks", got)
	}
}
