// Package letter reads a dead letter: where it died and of what, which message
// it is, which job it is about, and what it looks like to a person.
//
// It is pure, and it fails on nothing: whatever the message holds, there is
// something to keep. Everything in a letter was set by some publisher. What it
// says of the subscription counts only if the subscription is one of ours,
// numbers and times only if they can be true, and a tenant is never taken from
// an attribute.
package letter
