// Package output answers whether a run has left its output in the bucket.
//
// A marker counts if it lies below the job's own prefix, was written after this
// attempt began, is settled, and names the run: in its metadata, or in its
// content as a JSON object, under uid (also job_uid, kubernetes_uid) the UID of
// the Kubernetes Job, or under attempt the number of the attempt. Under job_id it
// may name the job. Any name that is another's makes it another's marker. Bare
// objects count only where the rule says so.
//
// An error, of whatever kind, is an answer of its own and never 'empty'. The
// package only reads, and decides nothing.
package output
