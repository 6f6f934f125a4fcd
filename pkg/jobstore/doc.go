// Package jobstore keeps job records in Firestore. It is the only code of the
// product that knows Firestore: its document layout, its preconditions, its
// errors.
//
// A record is changed by compare-and-set: read (or take from the cache), merge
// with pkg/job, commit with the read document's update time as precondition,
// and read again on a conflict. What must be told to others because of a change
// is committed with it, as outbox entries; package relay sends them. Every
// commit that changes a record raises its revision by one.
//
// The package never decides what is true of a job (pkg/job does), never
// publishes anything, and never uses RunTransaction for a status: it costs two
// to three times as much as a commit with a precondition.
package jobstore
