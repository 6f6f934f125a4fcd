// Package proxy stands between every client and one of Google's emulators. It
// forwards gRPC calls unseen and unchanged, counts what they do per GCP project
// (document reads, writes and deletes; messages published, delivered, acked and
// nacked), and makes calls late, refused or cut on demand.
//
// When a client vanishes it half-closes the upstream stream instead of
// cancelling it: the Pub/Sub emulator goes on delivering to a cancelled stream,
// 60 seconds a message, but ends a half-closed one.
//
// It never changes a message, and its counts are its own: what the services
// measure themselves plays no part.
package proxy
