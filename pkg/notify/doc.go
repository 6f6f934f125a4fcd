// Package notify tells people what went wrong, in Slack: one message for each
// kind of failure (a fingerprint) whose count is kept up to date, a few details
// in its thread, one digest for each run of a job.
//
// A caller states a fact and never waits for Slack. Note returns once the fact
// is counted in the store, which many callers share one commit for; a worker
// (Run) then brings Slack in line with the store. A fact is counted once, by its
// key, however often it is stated. A message is posted once: whoever posts has
// claimed its notice by compare-and-set, and when an answer was lost the channel
// is searched for the notice's metadata before anything is posted again. What
// Slack refuses or does not answer stays in the store and is tried again, by any
// process, until it is older than Config.MaxAge.
//
// The package decides what is told and when. It never decides what is true,
// never holds up the work that a fact is about, and knows neither Slack's client
// (package slackpost does) nor Firestore (pkg/jobstore/notices does).
package notify
