// Package content says what a failure capsule holds: the end of a log as it may
// be shown, the status of a pod, the Events of Kubernetes, all cut to size, and
// the phase that carries them.
//
// It is pure. It calls nobody and never fails: what cannot be said is left out
// and named. Nothing leaves it that pkg/redact has not seen.
package content
