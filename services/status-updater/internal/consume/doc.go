// Package consume handles the messages of status-updater: each is decoded to a
// claim, the claim is applied to its job's record, and what the change makes
// known is handed on to be published.
//
// It decides what becomes of a message and nothing about the job: pkg/job does.
// It never publishes by itself and never waits for a publish.
package consume
