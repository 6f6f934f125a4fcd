// Package resilience says what kind of failure an error is, and what to do
// about each kind: back off and try again, or stop asking a dependency that is
// down until it answers again.
//
// It never talks to a dependency itself, never logs a payload and never decides
// about a message: that is pkg/messaging's part, which reads the category.
package resilience
