// Package notices keeps the notices of pkg/notify in Firestore.
//
//	notices/{id}       one message and what it has yet to say
//	notice_facts/{id}  a fact that has been counted, by its key
//
// Both carry expire_at, for a TTL policy, see TTLs. The only query is by due_at,
// which a notice has only while there is something to tell; it needs Firestore's
// automatic index of that one field.
//
// Every change is a commit with the update time of what was read as its
// precondition. A count is committed together with one document for each of its
// facts, which must not exist yet: so a fact counts once, whoever states it
// again and whether or not the answer to a commit was lost.
//
// The package decides nothing about notices (pkg/notify does) and never sends
// any.
package notices
