// Package cleanup does what a dead letter asks for its job, by the type of the
// message: a table of small handlers, one for each type.
//
// A terminal status that never got through is applied as the truth that it is. A
// command that could not be delivered fails its job, on the assumption that
// nobody will carry it out. Whatever else names a job makes sure that it has a
// record, so that it is not forgotten. All goes through the merge rule, so a job
// that has moved on since stays as it is, and to do it twice does nothing.
//
// The package never stores a letter, never replays one, and draws no conclusion
// from a letter that is not known to come from a subscription of ours.
package cleanup
