package kube

import (
	"strings"
	"unicode/utf8"
	"unique"

	"github.com/envision/resiliency/pkg/job"
)

// Limits of what is taken from an object, in bytes. A value that names
// something is dropped when longer, since half a name names something else;
// text for a person is cut.
const (
	maxName    = 256
	maxURI     = 1024
	maxPhase   = 128
	maxMessage = job.MaxMessageBytes
)

// text makes what a container or controller wrote fit for a message. A copy is
// made of what is cut, or the short text would keep the long one in memory.
func text(s string, limit int) string {
	if len(s) > limit {
		return strings.Clone(job.Cut(s, limit))
	}
	return job.Cut(s, limit)
}

// name reports whether a value can name something: not too long, printable.
func name(s string) bool {
	if len(s) > maxName || !utf8.ValidString(s) {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// once is the same string in the memory of all who hold it: the objects of a cluster
// say a few words tens of thousands of times.
func once[S ~string](s S) S { return unique.Make(s).Value() }
