// Package relay sends what the outbox of pkg/jobstore holds: right after the
// commit that put it there, and by a sweep for what stayed behind when a process
// ended or Pub/Sub was away.
//
// An entry is deleted only after its publish is confirmed, so it is sent at
// least once; a repeat carries the same id and the same content. The relay never
// makes its caller wait: what it has no room for is left to the sweep. It never
// looks into a payload and promises no order.
package relay
