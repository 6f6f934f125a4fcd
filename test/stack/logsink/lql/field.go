package lql

import (
	"fmt"
	"slices"
	"strings"
)

// path names a field of a log entry, from the outside in.
type path []string

func (p path) String() string { return strings.Join(p, ".") }

// entryFields are the fields of a LogEntry.
// Source: cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry.
var entryFields = []string{
	"apphub", "apphubDestination", "errorGroups", "httpRequest", "insertId", "jsonPayload", "labels", "logName",
	"metadata", "operation", "protoPayload", "receiveTimestamp", "resource", "severity", "sourceLocation", "spanId",
	"split", "textPayload", "timestamp", "trace", "traceSampled",
}

// check refuses a field that no entry has. A payload and labels may hold
// anything; a mistyped LogEntry field is an error in Cloud Logging too.
func (p path) check() error {
	if !slices.Contains(entryFields, p[0]) {
		return fmt.Errorf("field %s: a log entry has no field %q", p, p[0])
	}
	if p[0] == "resource" && len(p) > 1 && p[1] != "type" && p[1] != "labels" {
		return fmt.Errorf("field %s: a resource has type and labels", p)
	}
	return nil
}

// free tells whether the field is inside of something that may hold anything:
// there a missing field fails every comparison, where a missing LogEntry field
// counts as its default.
func (p path) free() bool {
	switch p[0] {
	case "jsonPayload", "protoPayload", "labels", "metadata":
		return true
	case "resource":
		return len(p) > 1 && p[1] == "labels"
	default:
		return false
	}
}

// fallback is what a missing LogEntry field counts as.
func (p path) fallback() string {
	if p[0] == "severity" {
		return "DEFAULT"
	}
	return ""
}

// lookup returns every value at the path; a list on the way stands for each of
// its elements. Nothing found means that the field is missing.
func (p path) lookup(value any) []any {
	if list, ok := value.([]any); ok {
		var found []any
		for _, element := range list {
			found = append(found, p.lookup(element)...)
		}
		return found
	}
	if len(p) == 0 {
		return []any{value}
	}
	switch v := value.(type) {
	case map[string]any:
		if inner, ok := v[p[0]]; ok {
			return p[1:].lookup(inner)
		}
	case map[string]string:
		if inner, ok := v[p[0]]; ok {
			return p[1:].lookup(inner)
		}
	}
	return nil
}
