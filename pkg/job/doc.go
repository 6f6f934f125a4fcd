// Package job is the heart of the product: what a job is, what a claim about
// it is, and the merge rule that turns any number of claims, in any order and
// with any repeats, into one record.
//
// A job's status is the maximum of all its observations under one total order
// (order.go); the cause of a failure, the descriptive fields and the marks are
// merged beside it by laws of their own. Every law is a join of a semilattice:
// associative, commutative and idempotent, so late, repeated and reordered
// messages cannot change the result.
//
// The package is pure: it knows no clock, no network and no client library,
// and it never decides what to do about a job, only what is known of it.
package job
