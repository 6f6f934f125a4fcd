package phases

import "github.com/envision/resiliency/pkg/jobstore"

// collection is the group of all jobs' phases.
const collection = "phases"

// Indexes are the composite indexes that the queries of this package need.
func Indexes() []jobstore.Index {
	return []jobstore.Index{{Collection: collection, Fields: []jobstore.IndexField{
		{Path: fieldKind}, {Path: jobstore.PhaseFieldOccurredAt, Descending: true},
	}}}
}

// Exemptions are the fields that must not be indexed. The indexes of occurred_at
// and stored_at are each job's own, so that no collection's writes are bound by
// them.
func Exemptions() []jobstore.Exemption {
	var out []jobstore.Exemption
	for _, field := range []string{
		fieldPayload, fieldWitnesses, fieldExpireAt, "message", "attempt", "stage", "sequence", "revision",
	} {
		out = append(out, jobstore.Exemption{Collection: collection, Field: field})
	}
	return out
}

// TTLFields are the fields by which documents expire.
func TTLFields() []jobstore.TTL {
	return []jobstore.TTL{{Collection: collection, Field: fieldExpireAt}}
}
