package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// value is a node of the file with the path that leads to it.
type value struct {
	node *yaml.Node
	path string
}

// at is the value under a key, or v itself where there is none: for problems.
func (v value) at(key string) value {
	for i := 0; v.node.Kind == yaml.MappingNode && i+1 < len(v.node.Content); i += 2 {
		if v.node.Content[i].Value == key {
			return value{node: v.node.Content[i+1], path: v.join(key)}
		}
	}
	return v
}

func (v value) join(key string) string {
	if v.path == "" {
		return key
	}
	return v.path + "." + key
}

// reader collects everything that is wrong: who mends a file wants to do so once.
type reader struct{ problems, warnings []Problem }

func (r *reader) wrongf(v value, format string, args ...any) {
	r.problems = append(r.problems, v.problem(fmt.Sprintf(format, args...)))
}

func (r *reader) warnf(v value, format string, args ...any) {
	r.warnings = append(r.warnings, v.problem(fmt.Sprintf(format, args...)))
}

func (v value) problem(message string) Problem {
	return Problem{Line: max(v.node.Line, 1), Column: max(v.node.Column, 1), Key: v.path, Message: message}
}

// mapping returns the values of a mapping by key, nil if it is none. Keys that
// are not on the list, and keys given twice, are wrong.
func (r *reader) mapping(v value, known ...string) map[string]value {
	if !r.kind(v, yaml.MappingNode, "a mapping of keys to values") {
		return nil
	}
	keys := map[string]value{}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		k := v.node.Content[i]
		at := value{node: k, path: v.join(k.Value)}
		switch _, twice := keys[k.Value]; {
		case k.Kind != yaml.ScalarNode:
			r.wrongf(value{node: k, path: v.path}, "a key must be a plain word")
		case twice:
			r.wrongf(at, "the key is given twice")
		case len(known) > 0 && !slices.Contains(known, k.Value):
			r.wrongf(at, "there is no such key; known are %s", strings.Join(known, ", "))
		default:
			keys[k.Value] = value{node: v.node.Content[i+1], path: at.path}
		}
	}
	return keys
}

// sequence returns the items of a list.
func (r *reader) sequence(v value) ([]value, bool) {
	if !r.kind(v, yaml.SequenceNode, "a list") {
		return nil, false
	}
	items := make([]value, len(v.node.Content))
	for i, n := range v.node.Content {
		items[i] = value{node: n, path: fmt.Sprintf("%s[%d]", v.path, i)}
	}
	return items, true
}

// kind checks what a node is. References are refused: a file says what it means
// in the place where it is read.
func (r *reader) kind(v value, want yaml.Kind, what string) bool {
	switch {
	case v.node.Kind == yaml.AliasNode:
		r.wrongf(v, "references (*%s) are not read; write the value out", v.node.Value)
	case v.node.Kind != want:
		r.wrongf(v, "this must be %s", what)
	default:
		return true
	}
	return false
}

// texts returns the words of a list, or of a single word.
func (r *reader) texts(v value) []value {
	if v.node.Kind != yaml.SequenceNode {
		return []value{v}
	}
	items, _ := r.sequence(v)
	if len(items) == 0 {
		r.wrongf(v, "the list is empty; leave the key out to mean all")
	}
	return items
}

// text returns a word that is not empty.
func (r *reader) text(v value) (string, bool) {
	if !r.kind(v, yaml.ScalarNode, "a text") {
		return "", false
	}
	if v.node.Value == "" || v.node.Tag == "!!null" {
		r.wrongf(v, "the value is missing")
		return "", false
	}
	return v.node.Value, true
}

// oneOf returns one of some words.
func oneOf[T ~string](r *reader, v value, known ...T) T {
	s, ok := r.text(v)
	if ok && !slices.Contains(known, T(s)) {
		words := make([]string, len(known))
		for i, k := range known {
			words[i] = string(k)
		}
		r.wrongf(v, "%q is not known; it must be one of %s", s, strings.Join(words, ", "))
	}
	return T(s)
}

func (r *reader) boolean(v value) bool {
	s, ok := r.text(v)
	if ok && s != "true" && s != "false" {
		r.wrongf(v, "%q is neither true nor false", s)
	}
	return s == "true"
}

func (r *reader) integer(v value, low, high int) (int, bool) {
	s, ok := r.text(v)
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < low || n > high {
		r.wrongf(v, "%q is not a whole number from %d to %d", s, low, high)
		return 0, false
	}
	return n, true
}

// Durations in a file.
const (
	minDuration = time.Second
	maxDuration = 90 * 24 * time.Hour
)

func (r *reader) duration(v value) time.Duration {
	s, ok := r.text(v)
	if !ok {
		return 0
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < minDuration || d > maxDuration {
		r.wrongf(v, "%q is not a time from 1s to 2160h, such as 90s, 30m or 36h", s)
		return 0
	}
	return d
}
