package timeline

import (
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/envision/resiliency/pkg/job"
)

// clock is a moment in a sentence.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// clean makes of a text from outside one that can stand in a sentence: one line,
// no characters that are not seen or that turn the direction of writing, cut to
// limit bytes, without the full stop.
func clean(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp):
			return unicode.ReplacementChar
		default:
			return r
		}
	}, s)
	short := job.Cut(s, limit)
	if len(short) < len(s) {
		short += "…"
	}
	return strings.TrimRight(short, ". ")
}

// sentence is clean with a full stop.
func sentence(s string) string { return clean(s, job.MaxMessageBytes) + "." }

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + clean(reason, 300) + ")"
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// phrase is a cause in words.
func phrase(cause string) string {
	known := map[string]string{
		"OOM":            "out of memory",
		"EVICTED":        "evicted from its node",
		"PREEMPTED":      "a pod gave way to one of higher priority",
		"DEADLINE":       "it ran longer than its deadline",
		"IMAGE":          "an image could not be pulled",
		"NODE_LOST":      "a node was lost",
		"APP_EXIT":       "a container ended with an error",
		"BACKOFF_LIMIT":  "more pods failed than it allows",
		"POLICY":         "a rule of its pod failure policy ended it",
		"FAILED_INDEXES": "too many of its indexes failed",
		"CONFIG":         "a container could not be created",
		"UNSCHEDULABLE":  "no node had room for it",
		"QUOTA":          "a quota or an admission rule refused its pods",
		"DELETED":        "it was deleted before its end",
		"LOST":           "it is gone from its cluster and left no output",
		"SILENT":         "nothing was heard of it for too long",
		"UNDELIVERABLE":  "a command for it could not be delivered",
		"USER":           "its user asked for it",
	}
	if text, ok := known[cause]; ok {
		return text
	}
	return "a cause that is not classified"
}
