package timeline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// cut keeps limit spans: the one where the job stopped, what tells of a failure,
// what is open, and of the rest the newest.
func cut(drafts []draft, stop *Stop, limit int) []draft {
	if len(drafts) <= limit {
		return drafts
	}
	weight := func(d *draft) int {
		switch {
		case stop != nil && d.span.ID == stop.SpanID:
			return 3
		case d.span.State == StateFailed, d.span.State == StateError:
			return 2
		case d.open:
			return 1
		default:
			return 0
		}
	}
	slices.SortFunc(drafts, func(a, b draft) int {
		return cmp.Or(cmp.Compare(weight(&b), weight(&a)), b.span.Start.Compare(a.span.Start), strings.Compare(a.span.ID, b.span.ID))
	})
	return drafts[:limit]
}

func (c *Cut) sentence() string {
	var parts []string
	if stored := c.Stored - c.OlderProgress; stored > c.Read {
		parts = append(parts, fmt.Sprintf("Of %d stored phases %d were read: the newest, and of the rest what tells of a failure or decision.",
			stored, c.Read))
	}
	if c.Spans > c.Drawn {
		parts = append(parts, fmt.Sprintf("Of %d phases %d are drawn: those that failed, those that are open, and the newest.",
			c.Spans, c.Drawn))
	}
	return strings.Join(parts, " ")
}
