// Package jobs is the SDK of product code: the backend, face detection and the
// code inside job containers report with it what becomes of their jobs.
//
// Only New, Create, Join and Close return errors, and only Create and Close
// wait, within the caller's context. Everything else is handed to the
// background, where a bounded buffer keeps it until Pub/Sub has it: it never
// blocks, never panics and never fails. When the buffer is full the newest event
// is dropped and counted, for what is kept must still tell how the job got where
// it is; claims about a job's state have room of their own. Each event is also
// printed as one line of JSON, the second path on which it reaches the records.
//
// A client that is not configured does nothing, and so do a nil *Client, *Job
// and *Phase: product code needs no condition around any call.
//
// The package keeps no global state, decides nothing about a job, and never
// reads a record. docs/sdk.md shows how to use it.
package jobs
