package jobstore

// Index is one composite index: the fields in their order. The document's name
// follows by itself, in the direction of the last field.
type Index struct {
	Collection string
	Fields     []IndexField
}

// IndexField is one field of an index.
type IndexField struct {
	Path string
	// Descending is false for an equal condition, where the direction is nothing.
	Descending bool
}

// Exemption is a field without the indexes that Firestore makes by itself: it
// is large, or rises with time and nobody asks by it.
type Exemption struct{ Collection, Field string }

// TTL is a field that says when Firestore may delete a document.
type TTL struct{ Collection, Field string }

// Indexes are the composite indexes that the queries of this package need.
func Indexes() []Index {
	return []Index{
		{collectionJobs, []IndexField{{Path: "shard"}, {Path: "active"}, {Path: fieldCheckAfter}}},
		{"phases", []IndexField{{Path: PhaseFieldSource}, {Path: PhaseFieldOccurredAt, Descending: true}}},
	}
}

// Exemptions are the fields that must not be indexed by themselves. A field that
// rises with time would bound how fast its collection can be written; kubernetes
// keeps its index on uid.
func Exemptions() []Exemption {
	var out []Exemption
	of := func(collection string, fields ...string) {
		for _, field := range fields {
			out = append(out, Exemption{collection, field})
		}
	}
	of(collectionJobs, "merge", "verdict", fieldRecovery, fieldCheckAfter, "updated_at", "occurred_at",
		"attempt_started_at", "kubernetes.created_at", "updated_by", "delay_reason", "output_uri", "revision", "layout")
	of(collectionOutbox, "payload", "attributes", "created_at", "topic", "type")
	of(collectionHeartbeats, "expire_at")
	of("instances", "at", "progress_at", "expire_at")
	return out
}

// TTLs are the fields by which documents expire.
func TTLs() []TTL { return []TTL{{collectionHeartbeats, "expire_at"}, {"instances", "expire_at"}} }
