package jobstore

import (
	"hash/fnv"
	"time"

	"github.com/envision/resiliency/pkg/job"
)

// Meta is the bookkeeping of a record: what the store adds to what is known of
// the job. It takes no part in the merge.
type Meta struct {
	// Revision counts the commits that changed the record; the first is 1.
	Revision int64
	// UpdatedAt is when the last of them was made, by the writer's clock. The
	// server's own time is the document's update time, which every read returns;
	// a server timestamp as a field would say it twice and cost a transform.
	UpdatedAt time.Time
	// UpdatedBy names the process that made it.
	UpdatedBy string
	// CheckAfter is when recovery looks at the job next. A change sets it to the
	// time of the change.
	CheckAfter time.Time
	// Shard spreads queries over records, 0 to the number of shards less one.
	Shard int64
}

// stageUnspecified stands in the field stage of a record that names none, so
// that a query by stage cannot miss it.
const stageUnspecified = "UNSPECIFIED"

// Fields is the whole document of a record: fields for people and queries at
// the top, and under merge what the record is rebuilt from. The top is made
// from the record alone and never read back.
func Fields(r *job.Record, m *Meta) map[string]any {
	fields := topFields(r, m)
	merge := make(map[string]any, registerCount)
	for _, reg := range registers(r) {
		if reg.fields != nil {
			merge[reg.name] = reg.fields
		}
	}
	fields["merge"] = merge
	return fields
}

// changes lists the fields to set in a stored document to make before into
// after. Only registers that differ are named: a register that a newer release
// added stays as that release wrote it.
func changes(before, after *job.Record, m *Meta) []fieldUpdate {
	top := topFields(after, m)
	updates := make([]fieldUpdate, 0, len(top)+registerCount)
	for name, value := range top {
		updates = append(updates, fieldUpdate{path: []string{name}, value: value})
	}
	differs := differing(before, after)
	for i, reg := range registers(after) {
		if differs[i] && reg.fields != nil {
			updates = append(updates, fieldUpdate{path: []string{"merge", reg.name}, value: reg.fields})
		}
	}
	return updates
}

func topFields(r *job.Record, m *Meta) map[string]any {
	v := r.View()
	stage := v.Stage
	if stage == "" {
		stage = stageUnspecified
	}
	cause := ""
	if v.Cause.Cause != job.CauseUnspecified {
		cause = job.CauseName(v.Cause.Cause)
	}
	return map[string]any{
		"state": job.StateName(v.State), "active": !job.Terminal(v.State),
		"stage": stage, "stage_ordinal": int64(v.Ordinal), "stage_done": v.StageDone,
		"attempt": int64(v.Attempt), "cause": cause,
		"delayed": v.Delayed, "delay_reason": v.DelayReason, "vanished": v.Vanished,
		"owner": r.Owner.Value, "tenant": r.Tenant.Value,
		"correlation_id": r.CorrelationID.Value, "output_uri": r.OutputURI.Value,
		"kubernetes": kubernetesField(&r.Kubernetes), "verdict": verdictField(&v),
		"occurred_at": timeField(v.OccurredAt), "revision": m.Revision,
		"updated_at": m.UpdatedAt, "updated_by": m.UpdatedBy,
		"check_after": m.CheckAfter, "shard": m.Shard,
	}
}

// verdictField says what the end of a job rests on; null while it goes on.
func verdictField(v *job.View) any {
	if !job.Terminal(v.State) {
		return nil
	}
	verdict := map[string]any{
		"evidence": job.EvidenceName(v.Evidence), "final": v.Final, "detail": v.Detail,
	}
	if v.Cause.Cause != job.CauseUnspecified {
		verdict["cause"] = causeFields(&v.Cause)
	}
	return verdict
}

func kubernetesField(k *job.KubernetesClaim) any {
	if k.UID == "" {
		return nil
	}
	return map[string]any{"cluster": k.Cluster, "namespace": k.Namespace, "name": k.Name, "uid": k.UID}
}

// timeField stores the zero time as null: as a timestamp it would read as the
// year 1.
func timeField(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

// ShardOf is the shard of a job: a hash of its id, so it never changes while
// the number of shards does not.
func ShardOf(jobID string, shards int) int64 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(jobID)) // a hash never fails
	return int64(h.Sum32()) % int64(max(shards, 1))
}
