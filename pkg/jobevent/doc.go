// Package jobevent translates between the domain of pkg/job and the contract
// of proto/: claims to and from JobEvent, and changes of a record to the
// JobUpdate and the phases that tell of them.
//
// It checks what every reader of the contract must check, so that nothing
// invalid reaches the merge. It never talks to a broker or a store.
package jobevent
