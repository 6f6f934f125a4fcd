package letters

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
// Firestore merges those that end in the same order, so one for each equal
// condition serves every combination of them.
func Indexes() []Index {
	var out []Index
	by := func(collection, order string, equal ...string) {
		for _, field := range equal {
			out = append(out, Index{collection, []IndexField{{Path: field}, {Path: order, Descending: true}}})
		}
	}
	by(collectionLetters, "last_seen_at",
		"state", "fingerprint", "category", "dependency", "subscription", "job_id", "tenant")
	by(collectionAudit, "at", "target", "who")
	return out
}

// Exemptions are the fields that must not be indexed.
func Exemptions() []Exemption {
	var out []Exemption
	of := func(collection string, fields ...string) {
		for _, field := range fields {
			out = append(out, Exemption{collection, field})
		}
	}
	of(collectionLetters, "payload", "attributes", "decoded", "history", "reason", "message_ids", "cleanup", "claim",
		"last_error", "first_seen_at", "published_at", "closed_at", "expires_at", "payload_uri", "payload_sha256")
	of(collectionOperations, "filter", "cursor", "last_error", "reason", "updated_at", "finished_at", "lease_until", "expires_at")
	of(collectionAudit, "reason")
	return out
}

// TTLs are the fields by which documents expire.
func TTLs() []TTL {
	return []TTL{{collectionLetters, "expires_at"}, {collectionOperations, "expires_at"}}
}
