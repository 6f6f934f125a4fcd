package letters

import "github.com/envision/resiliency/pkg/jobstore"

// What the tables below are made of.
type (
	// Index is one composite index.
	Index = jobstore.Index
	// IndexField is one field of an index.
	IndexField = jobstore.IndexField
	// Exemption is a field without the indexes that Firestore makes by itself.
	Exemption = jobstore.Exemption
	// TTL is a field that says when Firestore may delete a document.
	TTL = jobstore.TTL
)

// Indexes are the composite indexes that the queries of this package need.
// Firestore merges those that end in the same order, so one for each equal
// condition serves every combination of them.
func Indexes() []Index {
	var out []Index
	by := func(collection, order string, equal ...string) {
		for _, field := range equal {
			out = append(out, Index{Collection: collection, Fields: []IndexField{{Path: field}, {Path: order, Descending: true}}})
		}
	}
	by(collectionLetters, fieldSeen,
		"state", "fingerprint", "category", "dependency", "subscription", "job_id", "tenant")
	by(collectionAudit, "at", "target", "who")
	return out
}

// Exemptions are the fields that must not be indexed.
func Exemptions() []Exemption {
	var out []Exemption
	of := func(collection string, fields ...string) {
		for _, field := range fields {
			out = append(out, Exemption{Collection: collection, Field: field})
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
	return []TTL{{Collection: collectionLetters, Field: "expires_at"}, {Collection: collectionOperations, Field: "expires_at"}}
}
