package lql

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// kind is the kind of a token.
type kind int

const (
	end kind = iota
	word
	text   // a quoted string, unquoted
	symbol // an operator, parenthesis, dot or star
)

// token is one piece of a filter.
type token struct {
	kind kind
	text string
	at   int // byte offset, for messages
}

func (t token) is(symbolText string) bool { return t.kind == symbol && t.text == symbolText }

func (t token) keyword(name string) bool { return t.kind == word && t.text == name }

func (t token) String() string {
	if t.kind == end {
		return "the end"
	}
	return fmt.Sprintf("%q", t.text)
}

// symbols are tried in this order, the longer first. Those that stand for
// something this package cannot do are left out, so that they are errors.
var symbols = []string{"!=", "!~", "=~", "=", ":", "(", ")", ".", "*"}

// lex cuts a filter into tokens; the last is of kind end.
func lex(filter string) ([]token, error) {
	if !utf8.ValidString(filter) {
		return nil, fmt.Errorf("a filter is UTF-8 text")
	}
	var tokens []token
	for at := 0; at < len(filter); {
		rest := filter[at:]
		switch c := rest[0]; {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			at++
		case strings.HasPrefix(rest, "--"):
			line, _, _ := strings.Cut(rest, "\n")
			at += len(line)
		case c == '"':
			value, size, err := unquote(rest)
			if err != nil {
				return nil, fmt.Errorf("at %d: %w", at, err)
			}
			tokens = append(tokens, token{kind: text, text: value, at: at})
			at += size
		case wordByte(c) && c != '-':
			size := 1
			for size < len(rest) && wordByte(rest[size]) {
				size++
			}
			tokens = append(tokens, token{kind: word, text: rest[:size], at: at})
			at += size
		default:
			s, ok := symbolAt(rest)
			if !ok {
				return nil, fmt.Errorf("at %d: %q is not supported here; quote text that holds it", at, rest[:1])
			}
			tokens = append(tokens, token{kind: symbol, text: s, at: at})
			at += len(s)
		}
	}
	return append(tokens, token{kind: end, at: len(filter)}), nil
}

func symbolAt(rest string) (string, bool) {
	for _, s := range symbols {
		if strings.HasPrefix(rest, s) {
			return s, true
		}
	}
	return "", false
}

func wordByte(c byte) bool {
	return c == '_' || c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// unquote reads the quoted string that rest begins with, and its length in the
// filter. Only \" and \\ are escapes: what else a backslash means depends on
// where the string stands, so it is refused.
func unquote(rest string) (value string, size int, err error) {
	var b strings.Builder
	for i := 1; i < len(rest); i++ {
		switch c := rest[i]; c {
		case '"':
			return b.String(), i + 1, nil
		case '\\':
			i++
			if i == len(rest) || rest[i] != '"' && rest[i] != '\\' {
				return "", 0, fmt.Errorf(`only \" and \\ are supported after a backslash`)
			}
			b.WriteByte(rest[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", 0, fmt.Errorf("a string is not closed")
}
