// Package rules holds no code, only tests: they keep the rules of the
// repository that no compiler and no linter keeps, such as which module may
// know which, and that every package says what it is for.
//
// A test here never judges behaviour and starts nothing but git, make and the go
// command.
package rules
