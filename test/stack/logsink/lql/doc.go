// Package lql reads and applies filters in Cloud Logging's query language, as
// much of it as a sink's filter of ours needs: AND, OR, NOT, parentheses, the
// comparisons =, !=, :, =~ and !~, existence (field:*), lists of alternatives,
// quoted field names, log_id("...") and comments.
//
// What it does not know is an error of Parse, never skipped: a filter that is
// accepted here means the same in Cloud Logging. Two traps of the language are
// kept as they are: OR binds tighter than AND, and strings compare without
// regard to case (regular expressions do not).
//
// It never reads or writes log entries itself.
//
// Source: cloud.google.com/logging/docs/view/logging-query-language.
package lql
