// Package timeline makes of everything that is on record about one job a thing
// that a person can read: its phases by attempt and stage on a real time axis,
// where it stopped and why, what the pod last said, what the system did about
// it, and who has to act next.
//
// It is pure: it knows no clock, no store and no page. What it is given may come
// in any order and hold anything that the contract allows: ends without starts,
// starts without ends, clocks that disagree, names used twice, a hundred thousand
// phases. Each of these has one reading, and what was read so is marked, never
// repaired in silence. It never shifts a time that was reported.
package timeline
