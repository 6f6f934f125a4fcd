// Package deliver keeps facts until Pub/Sub has confirmed them, so that no
// transition a watch has shown is lost while the process lives.
//
// Handlers of a watch cannot fail, so they hand facts over and go on. Facts
// are kept per Kubernetes Job, by its UID; a rate-limited work queue holds the
// UIDs that have something to say, and a UID leaves it only when all its facts
// are confirmed. What was confirmed is remembered in a few bytes until the Job
// is gone: an object says everything again with each update.
//
// The package never looks at a Kubernetes object and knows no Pub/Sub. What is
// not confirmed when the process dies is not lost: the next start lists all
// Jobs, says everything again, and ids make the repeats harmless.
package deliver
