// Package logentry reads what the log sink puts on topic job-log-entries: Cloud
// Logging's LogEntry as JSON, with an Event of Kubernetes, a line of the log
// witness or a line of the SDK in it. It says what each entry is, who GKE says
// wrote it, and what an Event proves about a job.
//
// Everything in an entry but the resource and the labels of GKE comes from
// whoever wrote it, so every input has a named outcome and none a wrong claim.
// The package is pure: it never looks for a record, never calls anything and
// never decides what becomes of a message.
package logentry
