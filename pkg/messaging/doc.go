// Package messaging is Pub/Sub in terms of protobuf messages: it publishes them
// with their attributes, and it receives them under one rule for what becomes
// of a message.
//
// The rule: a handler that returns nil has the message acked. A permanent
// error (pkg/resilience) publishes it to the dead letters with the reason and
// then acks it; if that publish fails it is nacked. Any other error, and a
// panic, nacks it: Pub/Sub delivers it again, later and later. After the last
// attempt it goes to the dead letters: moved by us with the reason or, where that
// was not to be (a process that died), forwarded by Pub/Sub without one. What
// does not decode is permanent at once. While a dependency is down (Gate),
// messages wait in hand with their lease extended, are not nacked, and no more
// are pulled (PausedBy); so do those alone that need it, where it is not needed
// by all (HeldBy).
//
// The W3C trace context travels along: from the publisher's context through the
// attributes to the handler's context, and so on to what the handler publishes.
//
// Messages come at least once and in any order. The package never promises
// otherwise, never looks into a payload beyond decoding it, never logs one, and
// never ends a process because Pub/Sub is away.
package messaging
