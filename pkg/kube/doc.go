// Package kube reads Kubernetes Jobs and Pods: what an object says becomes
// claims about a job (job.Observation) and steps of its timeline (PhaseEvent).
//
// An object is first read into a compact form (ReadJob, ReadPod), about a
// tenth of its size, which informers can keep in its stead. A Mapper then
// turns that form into facts. Every time comes from the object and every id
// follows from the fact itself, so two processes that watch one cluster, or
// one process that starts twice, say the same thing in the same words.
//
// The package is pure. It never calls the API server, never looks at a clock
// and never decides whether a fact is news: it says all that an object shows,
// each time anew.
package kube
