// Package phases keeps what jobs passed through in Firestore, each phase under its
// event id below its job: jobs/{job_id}/phases/{event_id}. The updates that went
// out to the product are kept beside them, as they belong to the same story.
//
// Writes are idempotent and need no order and no read: the same fact twice is one
// document, and what only one of its sources knows is kept by source. Writes are
// gathered over messages into plain commits of up to 500, several times as
// fast as one by one; a document that Firestore refuses fails alone. A
// phase is kept for as long as its tenant wants.
//
// The package never says what phases mean (phase-tracer does), never touches a
// job's record, and stores phases of jobs that nobody knows like others.
package phases
