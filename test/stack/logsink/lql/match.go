package lql

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Match tells whether an entry passes. The entry is the JSON of a LogEntry as
// encoding/json decodes it into an any (maps of strings may stand for objects).
func (f *Filter) Match(entry map[string]any) bool { return f.root.match(entry) }

// node is one piece of the expression.
type node interface {
	match(entry map[string]any) bool
}

type all []node

func (n all) match(entry map[string]any) bool {
	for _, inner := range n {
		if !inner.match(entry) {
			return false
		}
	}
	return true
}

type anyOf []node

func (n anyOf) match(entry map[string]any) bool {
	for _, inner := range n {
		if inner.match(entry) {
			return true
		}
	}
	return false
}

type negated struct{ node }

func (n negated) match(entry map[string]any) bool { return !n.node.match(entry) }

// logID matches the last part of logName, which is URL-encoded there.
type logID string

func (n logID) match(entry map[string]any) bool {
	name, _ := entry["logName"].(string)
	_, encoded, found := strings.Cut(name, "/logs/")
	id, err := url.PathUnescape(encoded)
	return found && err == nil && id == string(n)
}

// exists matches a field that is there, whatever it holds.
type exists path

func (n exists) match(entry map[string]any) bool { return len(path(n).lookup(entry)) > 0 }

// compare is `field = value`, `field != value` or `field : value`.
type compare struct {
	field path
	op    string
	value string
}

func (n compare) match(entry map[string]any) bool {
	found := n.field.lookup(entry)
	if len(found) == 0 {
		if n.field.free() {
			return false
		}
		found = []any{n.field.fallback()}
	}
	for _, v := range found {
		if n.holds(v) {
			return true
		}
	}
	return false
}

func (n compare) holds(v any) bool {
	if n.op == ":" {
		return n.has(v)
	}
	equal, known := n.equals(v)
	return known && equal == (n.op == "=")
}

// equals also tells whether the value of the filter could be read as one of the
// field's type at all; if not, no comparison holds.
func (n compare) equals(v any) (equal, known bool) {
	switch v := v.(type) {
	case string:
		return strings.EqualFold(v, n.value), true
	case float64:
		number, err := strconv.ParseFloat(n.value, 64)
		return v == number, err == nil
	case bool:
		truth, err := strconv.ParseBool(strings.ToLower(n.value))
		return v == truth, err == nil
	case nil:
		return n.value == "NULL_VALUE", true
	default:
		return false, false
	}
}

// has looks into a text; an object has what any of its fields has.
func (n compare) has(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.Contains(strings.ToLower(v), strings.ToLower(n.value))
	case []any:
		for _, inner := range v {
			if n.has(inner) {
				return true
			}
		}
		return false
	case map[string]any:
		for _, inner := range v {
			if n.has(inner) {
				return true
			}
		}
		return false
	case map[string]string:
		for _, inner := range v {
			if n.has(inner) {
				return true
			}
		}
		return false
	default:
		equal, known := n.equals(v)
		return known && equal
	}
}

// matches is `field =~ "..."` or `field !~ "..."`: unanchored, and with regard
// to case unless the expression says (?i).
type matches struct {
	field  path
	re     *regexp.Regexp
	negate bool
}

func (n matches) match(entry map[string]any) bool {
	found := n.field.lookup(entry)
	if len(found) == 0 && !n.field.free() {
		found = []any{n.field.fallback()}
	}
	for _, v := range found {
		if s, ok := v.(string); ok && n.re.MatchString(s) != n.negate {
			return true
		}
	}
	return false
}
