// Package judge decides what becomes of a job that has gone silent, from
// evidence alone: its record, its rule, what the cluster and the bucket
// answered, its newest phase and the health of the pipeline.
//
// It asks before it decides. What was not asked yet is asked for (ActionAsk);
// what could not be answered ends in ActionCannotJudge, with which nothing is
// written. An error is never taken for 'missing', and a job that shows any sign
// of life is neither failed nor resumed.
//
// The package is pure: no clock, no network, no client library. It never
// writes: a Verdict holds the claims for the caller to apply.
package judge
