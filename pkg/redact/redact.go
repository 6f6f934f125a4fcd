// Package redact takes out of a text what must not be shown: secrets by their
// known forms, and characters that make a text read otherwise than it is. It is
// for text that leaves the system's own stores for people's eyes: a Slack
// message, a page, the last lines of a failed pod.
//
// It works by pattern, so it is a net and not a proof: what looks like no secret
// passes. It never parses, never fails and keeps nothing, so it may be called
// line by line; Lines carries what a secret of several lines needs.
package redact

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Mark stands where a secret was.
const Mark = "REDACTED"

// String returns s as it may be shown: cleaned (see Clean) and with every secret
// that a pattern knows replaced by Mark. Its cost is linear in the length of s.
func String(s string) string {
	s = Clean(s)
	lower := strings.ToLower(s)
	for i := range rules {
		if r := &rules[i]; r.mayMatch(lower) {
			s = r.pattern.ReplaceAllString(s, r.with)
		}
	}
	return s
}

func (r *rule) mayMatch(lower string) bool {
	for _, hint := range r.hints {
		if strings.Contains(lower, hint) {
			return true
		}
	}
	return false
}

// Clean returns s as valid UTF-8 without characters that cannot be seen or that
// change how others are read: control characters but line feed and tab,
// direction overrides, zero-width and tag characters. Line ends become \n.
func Clean(s string) string {
	if isClean(s) {
		return s
	}
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\r', r == '\u0085', r == '\u2028', r == '\u2029':
			return '\n'
		case hidden(r):
			return -1
		default:
			return r
		}
	}, s)
}

// hidden reports whether r is removed. Cf holds the direction overrides.
func hidden(r rune) bool {
	if r == '\n' || r == '\t' {
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Noncharacter_Code_Point, unicode.Zl, unicode.Zp)
}

func isClean(s string) bool {
	for _, r := range s {
		if r == utf8.RuneError || hidden(r) {
			return false
		}
	}
	return true
}
