package fact

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// Stream is one watch, as "jobs.<namespace>" or "pods.<namespace>". Within one
// stream changes come in the order of their resource versions; two streams have
// no common progress.
type Stream string

// Namespace is the one whose objects the stream shows.
func (s Stream) Namespace() string {
	_, ns, _ := strings.Cut(string(s), ".")
	return ns
}

// Mark says by which change of a stream a fact became known. Seen by a watch it
// is one resource version; a list only tells that it was one of several.
type Mark struct {
	Stream Stream
	// From is the first resource version at which the change can have happened:
	// while the fact is pending, nothing from there on counts as published.
	From uint64
	// To is the last one at which it can have happened: whoever has published
	// everything up to there has published the fact.
	To uint64
}

// Levels holds a resource version for each stream. As a watermark it says that
// all that these streams showed up to there is published. The absence of a
// stream means nothing is known of it.
type Levels map[Stream]uint64

// Covers reports whether a fact with these marks is published for certain: each
// of them must be. Without marks, or with one that says nothing, it never is.
func (l Levels) Covers(marks []Mark) bool {
	if len(marks) == 0 {
		return false
	}
	return !slices.ContainsFunc(marks, func(m Mark) bool { return m.To == 0 || m.To > l[m.Stream] })
}

// Lower takes the level of a mark's stream down to where the mark does not
// count as published.
func (l Levels) Lower(m Mark) {
	if level, ok := l[m.Stream]; ok && level >= m.From {
		l[m.Stream] = max(m.From, 1) - 1
	}
}

// At is the mark of a change with a resource version, as the API server gives
// it. One that is no number is taken for a change later than any: it holds the
// watermark at reached and is never taken for published.
func At(s Stream, resourceVersion string, reached uint64) Mark {
	if v := Version(resourceVersion); v > 0 {
		return Mark{Stream: s, From: v, To: v}
	}
	return Mark{Stream: s, From: reached + 1, To: math.MaxUint64}
}

// Version reads a resource version as the integer that Kubernetes promises it
// is (1.35); 0 when it is none.
func Version(resourceVersion string) uint64 {
	if resourceVersion == "" || resourceVersion[0] < '1' || resourceVersion[0] > '9' {
		return 0
	}
	v, err := strconv.ParseUint(resourceVersion, 10, 64)
	if err != nil {
		return 0
	}
	return v
}
