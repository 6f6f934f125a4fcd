// Package deliver keeps facts until they are confirmed, so that no
// transition a watch has shown is lost while the process lives.
//
// Handlers of a watch cannot fail, so they hand facts over and go on. Facts
// are kept per Kubernetes Job, by its UID; a rate-limited work queue holds the
// UIDs that have something to say, and a UID leaves it only when all its facts
// are confirmed. What was confirmed is remembered in a few bytes until the Job
// is gone: an object says everything again with each update.
//
// A queue on standby holds everything back and drops what the leader's watermark
// covers. The watermark is computed here, from what is pending and from how far
// each stream was handed over; internal/watermark tells why it loses nothing.
//
// The package never looks at a Kubernetes object and knows no Pub/Sub.
package deliver
