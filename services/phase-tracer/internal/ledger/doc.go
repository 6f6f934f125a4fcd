// Package ledger sums up how long stages and phases take, as they end, and tells
// which have become slow before anything is stuck.
//
// Durations go into mergeable sketches (DDSketch, one percent off at most), by stage and
// phase, in buckets of time. Each process keeps the sums of its own and writes
// them every so often; a report merges those of all processes. So a report costs
// what the window costs, never what was stored within it.
//
// The pods of a stage are one row. A bucket has maxRows rows at most; what comes
// beyond is counted in one row of others, so no name that product code makes up can
// grow the ledger.
//
// Each end counts once in each process, however often it is delivered; an end that is
// delivered to two processes counts twice, which moves no percentile. A process that is
// killed loses what it had not written, FlushEvery at most. What only the log
// witness tells is not counted: its repeats could not be told from news.
package ledger
