// Package replay sends dead letters again: one, those of a filter as an
// operation in the background, and by itself those that died of a dependency
// which works again.
//
// A letter is claimed before it is sent and confirmed afterwards, so of any
// number of replays at once one sends it. It goes to its topic as it was, with
// replay_target, so that only the subscription that it died in handles it again.
// Between claim and confirmation a process may die: then the letter is opened
// again, and may be sent a second time. That is harmless, for every reader of ours
// takes a message any number of times.
//
// The package never changes a message, never replays what a person discarded
// unless a person asks for that very letter, and never decides who may ask.
package replay
