// Package leases lets one process at a time do a piece of work, and keeps one
// that has outlived its turn from writing.
//
// A lease is leases/{name}: who holds it, until when, and a token that rises with
// every new holder. With a token come its fences, small documents that are
// deleted in the commit that gives the lease to the next holder. A commit that
// requires a fence to exist is therefore refused as soon as somebody else holds
// the lease, however wrong the clock of the former holder is. Fences are
// documents of their own, so that a renewal disturbs no commit, and several, as
// one that every commit touches would be a bottleneck.
//
// The package never does the work, and a lease is no lock: a holder that does not
// require its fence can still write.
package leases
