// Package run makes a run of recovery-job: it walks through the records that are
// due, has each judged, and writes the verdicts, each in one commit with all that
// is told about it.
//
// What is read, asked and written comes through the interfaces of this package;
// judge decides. A run without a Writer is a plan: it asks the same questions and
// changes nothing at all.
//
// A verdict holds for the record that was judged: if anybody has changed that
// meanwhile, it is dropped. Verdicts from silence wait until all others are
// written, for only then it is known whether they are too many to be true.
package run
