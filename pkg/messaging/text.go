package messaging

import (
	"strings"
	"unicode/utf8"
)

// Cut makes s valid UTF-8 of at most limit bytes, without splitting a rune.
func Cut(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= limit {
		return s
	}
	end := limit
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}
