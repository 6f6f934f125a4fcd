// Package web is phase-tracer's pages: jobs are searched for here, and one look
// at a job's page says what is known of it, where and why it failed, what its pod
// last said, and who has to do what next. A page of durations shows which phases
// have become slow.
//
// Pages are rendered by the server and need no script; with it, the page of a job
// that goes on follows it. Readers see the jobs of their tenants and nothing of
// others, not even that they exist.
//
// The package stores nothing, changes nothing, and treats every text about a job
// as hostile.
package web
