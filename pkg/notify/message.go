package notify

import (
	"fmt"
	"strings"
	"time"
)

// Message is what a poster sends: text as people are to read it, not yet in any
// sink's own form.
type Message struct {
	// Title is a line; a reply has none.
	Title string
	// Sections are paragraphs, Fields a table.
	Sections []string
	Fields   []Field
	// Notes are small print.
	Notes []string
	// Link is an absolute URL with more; "" for none.
	Link string
	// Plain asks for a message of text alone.
	Plain bool
	// Ref goes with the message, so that it can be found again.
	Ref Ref
}

// Ref names a part of a notice; it is the message's metadata in Slack.
type Ref struct {
	Notice string
	Window int64
	Part   string
}

// compose makes the message of a step.
func compose(n *Notice, step *Step) Message {
	ref := Ref{Notice: n.ID, Window: n.Window, Part: step.Part}
	if step.Part != PartMessage && step.Part != partUpdate {
		return reply(n, int(step.Reply), ref)
	}
	ref.Part = PartMessage // an update keeps what the message is found by
	m := Message{Title: n.Title, Sections: n.Sections, Fields: n.Fields, Link: n.Link, Plain: n.Plain, Ref: ref}
	switch n.Kind {
	case KindSummary:
		m.Title = fmt.Sprintf("%s of %s", quantity(n.Count, "more failure"), quantity(n.Groups, "other kind"))
		m.Sections = []string{titles(n)}
		m.Fields = seen(n)
	case KindGroup:
		m.Fields = append(append([]Field(nil), n.Fields...), seen(n)...)
		if n.Count > int64(len(n.Samples)) && len(n.Samples) > 0 {
			m.Notes = append(m.Notes, fmt.Sprintf("The thread shows the first %d; the others are only counted.", len(n.Samples)))
		}
	}
	return m
}

func reply(n *Notice, i int, ref Ref) Message {
	s := n.Samples[i]
	m := Message{Link: s.Link, Plain: n.Plain, Ref: ref, Notes: []string{stamp(s.At)}}
	if s.Text != "" {
		m.Sections = []string{s.Text}
	}
	return m
}

func seen(n *Notice) []Field {
	fields := []Field{{Name: "Count", Value: fmt.Sprint(n.Count)}, {Name: "First seen", Value: stamp(n.FirstSeen)}}
	if n.LastSeen.After(n.FirstSeen) {
		fields = append(fields, Field{Name: "Last seen", Value: stamp(n.LastSeen)})
	}
	return fields
}

func titles(n *Notice) string {
	var b strings.Builder
	b.WriteString("Too many kinds at once for a message each:\n")
	for _, title := range n.Titles {
		b.WriteString("• " + title + "\n")
	}
	if more := n.Groups - int64(len(n.Titles)); more > 0 {
		fmt.Fprintf(&b, "and %d more", more)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// stamp is a time for people, in UTC, as their own zones differ.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func quantity(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Fallback is the message as one text, for notifications and plain messages: the
// short form is its first line and its count.
func (m *Message) Fallback(full bool) string {
	lines := []string{}
	if m.Title != "" {
		lines = append(lines, m.Title)
	}
	if full || m.Title == "" {
		lines = append(lines, m.Sections...)
	}
	for _, f := range m.Fields {
		if full || f.Name == "Count" {
			lines = append(lines, f.Name+": "+f.Value)
		}
	}
	if full {
		lines = append(lines, m.Notes...)
	}
	if len(lines) == 0 {
		return strings.Join(m.Notes, "\n")
	}
	return strings.Join(lines, "\n")
}
