package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a rule file.
type Problem struct {
	// Line and Column count from 1; Column in characters.
	Line, Column int
	// Key is the path of the key, such as rules[2].resume.times.
	Key string
	// Message is one plain sentence.
	Message string
}

// String is line, column, key and message.
func (p Problem) String() string {
	if p.Key == "" {
		return fmt.Sprintf("line %d, column %d: %s", p.Line, p.Column, p.Message)
	}
	return fmt.Sprintf("line %d, column %d: %s: %s", p.Line, p.Column, p.Key, p.Message)
}

// FileError is all that is wrong with a rule file.
type FileError struct {
	// File is the name that Parse was given.
	File     string
	Problems []Problem
}

// Error has a line for each problem.
func (e *FileError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = e.File + ": " + p.String()
	}
	return strings.Join(lines, "\n")
}

func sortProblems(all []Problem) {
	slices.SortStableFunc(all, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
