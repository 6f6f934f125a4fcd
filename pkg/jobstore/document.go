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
	// Recovery is what recovery-job keeps of the job.
	Recovery Recovery
}

// stageUnspecified stands in the field stage of a record that names none, so
// that a query by stage cannot miss it.
const stageUnspecified = "UNSPECIFIED"

// Fields is the whole document of a record: fields for people and queries at
// the top, and under merge what the record is rebuilt from. The top is made
// from the record alone and never read back.
func Fields(r *job.Record, m *Meta) map[string]any {
	top := topFields(r, m)
	fields := make(map[string]any, len(top)+1)
	for _, field := range top {
		fields[field.name] = field.value
	}
	merge := make(map[string]any, registerCount)
	for i := range registerCount {
		if reg := registerAt(r, i); reg.fields != nil {
			merge[reg.name] = reg.fields
		}
	}
	fields["merge"] = merge
	return fields
}

// layout numbers the fields at the top. It rises when a release adds one or
// makes one otherwise: a document of another layout gets all of them anew with
// its next change, one of the same layout only what differs.
const layout int64 = 1

// changes lists the fields to set in the stored document to make it that of
// after. Only registers that differ are named: a register that a newer release
// added stays as that release wrote it.
func changes(current *entry, after *job.Record, m *Meta) []fieldUpdate {
	top, differs := topFields(after, m), differing(current.record, after)
	updates := make([]fieldUpdate, 0, len(top)+registerCount)
	var old []topField
	if current.layout == layout {
		old = topFields(current.record, &current.meta)
	}
	for i, field := range top {
		if old == nil || !same(field.value, old[i].value) {
			updates = append(updates, fieldUpdate{path: []string{field.name}, value: field.value})
		}
	}
	for i, differ := range differs {
		if !differ {
			continue
		}
		if reg := registerAt(after, i); reg.fields != nil {
			updates = append(updates, fieldUpdate{path: []string{"merge", reg.name}, value: reg.fields})
		}
	}
	return updates
}

// same compares two values of a document. Times have one form (UTC,
// microseconds, no monotonic reading), so == is exact.
func same(a, b any) bool {
	m, isMap := a.(map[string]any)
	n, isMapToo := b.(map[string]any)
	if !isMap && !isMapToo {
		return a == b
	}
	if isMap != isMapToo || len(m) != len(n) {
		return false
	}
	for key, value := range m {
		if other, ok := n[key]; !ok || !same(value, other) {
			return false
		}
	}
	return true
}

// topField is one field at the top of a document.
type topField struct {
	name  string
	value any
}

// topFields lists all of them, always in one order.
func topFields(r *job.Record, m *Meta) []topField {
	v := r.View()
	stage := v.Stage
	if stage == "" {
		stage = stageUnspecified
	}
	cause := ""
	if v.Cause.Cause != job.CauseUnspecified {
		cause = job.CauseName(v.Cause.Cause)
	}
	return []topField{
		{"state", job.StateName(v.State)}, {"active", !job.Terminal(v.State)},
		{"stage", stage}, {"stage_ordinal", int64(v.Ordinal)}, {"stage_done", v.StageDone},
		{"attempt", int64(v.Attempt)}, {"attempt_started_at", timeField(r.Started.At)}, {"cause", cause},
		{"delayed", v.Delayed}, {"delay_reason", v.DelayReason}, {"vanished", v.Vanished},
		{"owner", r.Owner.Value}, {"tenant", r.Tenant.Value},
		{"correlation_id", r.CorrelationID.Value}, {"output_uri", r.OutputURI.Value},
		{"kubernetes", kubernetesField(&r.Kubernetes)}, {"verdict", verdictField(&v)},
		{"occurred_at", timeField(v.OccurredAt)}, {"revision", m.Revision},
		{"updated_at", m.UpdatedAt}, {"updated_by", m.UpdatedBy},
		{"check_after", m.CheckAfter}, {"shard", m.Shard}, {"layout", layout},
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
	return map[string]any{
		"cluster": k.Cluster, "namespace": k.Namespace, "name": k.Name, "uid": k.UID, "created_at": timeField(k.CreatedAt),
	}
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
