package rules

import (
	"fmt"
	"slices"
	"strings"
)

// Text is a text for people with fields in braces, such as {stage}; "{{" and
// "}}" are braces themselves. The zero value is empty.
type Text struct{ parts []part }

// part is literal text or, if field is set, the name of a field.
type part struct {
	text  string
	field bool
}

// Fields are the names that a text may use, in the order of the documentation.
func Fields() []string {
	return []string{
		"job_id", "owner", "tenant", "correlation_id", "stage", "state", "attempt", "silent_for",
		"rule", "verdict", "evidence", "reason", "sentence", "resumes", "max_resumes", "output_uri",
	}
}

// IsZero reports whether the text is empty.
func (t Text) IsZero() bool { return len(t.parts) == 0 }

// Fill replaces the fields by their values; one without a value becomes "-".
func (t Text) Fill(values map[string]string) string {
	var b strings.Builder
	for _, p := range t.parts {
		switch value := values[p.text]; {
		case !p.field:
			b.WriteString(p.text)
		case value == "":
			b.WriteByte('-')
		default:
			b.WriteString(value)
		}
	}
	return b.String()
}

// textError says where in a text it is wrong.
type textError struct {
	at      int // in bytes
	problem string
}

func (e *textError) Error() string { return e.problem }

// parseText reads a text; the error is the first that is wrong with it.
func parseText(s string) (Text, *textError) {
	var t Text
	literal := func(text string) {
		if n := len(t.parts); n > 0 && !t.parts[n-1].field {
			t.parts[n-1].text += text
		} else {
			t.parts = append(t.parts, part{text: text})
		}
	}
	for at := 0; at < len(s); {
		next := strings.IndexAny(s[at:], "{}")
		if next < 0 {
			literal(s[at:])
			break
		}
		if next > 0 {
			literal(s[at : at+next])
		}
		at += next
		switch {
		case strings.HasPrefix(s[at:], "{{"), strings.HasPrefix(s[at:], "}}"):
			literal(s[at : at+1])
			at += 2
		case s[at] == '}':
			return Text{}, &textError{at, `"}" without "{" before it; write "}}" for the brace itself`}
		default:
			name, _, closed := strings.Cut(s[at+1:], "}")
			if !closed || !slices.Contains(Fields(), name) {
				return Text{}, &textError{at, unknownField(name, closed)}
			}
			t.parts = append(t.parts, part{text: name, field: true})
			at += len(name) + 2
		}
	}
	return t, nil
}

func unknownField(name string, closed bool) string {
	if !closed {
		return `"{" without "}" behind it; write "{{" for the brace itself`
	}
	return fmt.Sprintf("{%s} is no field; there are {%s}", name, strings.Join(Fields(), "}, {"))
}
