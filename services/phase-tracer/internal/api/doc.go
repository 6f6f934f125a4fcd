// Package api is phase-tracer's JSON API: jobs are searched for, read with their
// timeline and explanation, and followed by server-sent events while they go on.
//
// Callers see the jobs of their tenants and nothing of others, not even that they
// exist. The package stores and changes nothing.
package api
