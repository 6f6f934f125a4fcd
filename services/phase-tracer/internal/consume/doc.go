// Package consume takes what comes on job-phases and job-updates and has it
// stored, acked only once the commit that holds it was made.
//
// A phase of a job that nobody knows is stored like any other. What breaks the
// contract is a permanent error, so it becomes a dead letter; what Firestore
// refuses as it is becomes one alone, and its commit goes on without it. The
// package never changes a job's record.
package consume
