package capture

import (
	"cmp"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/notify"
)

// fact is what people are told of a letter that was opened: of one episode once,
// however often it is stated.
func fact(l *letters.Letter, cleanup *letters.Cleanup) *notify.Fact {
	kind := l.Type[strings.LastIndexByte(l.Type, '.')+1:]
	text := "Its job has not been cleaned up yet."
	if cleanup != nil {
		text = cleanup.Text
	}
	about := fmt.Sprintf("Job %s: %s", cmp.Or(l.JobID, "unknown"), l.Reason)
	return &notify.Fact{
		Key:         l.ID + "-" + strconv.FormatInt(l.Episode, 10),
		Fingerprint: l.Fingerprint,
		Content: notify.Content{
			Title:    fmt.Sprintf("Dead letters in %s: %s, %s", l.Subscription, kind, l.Category),
			Sections: []string{l.Reason},
			Fields: []notify.Field{
				{Name: "Subscription", Value: l.Subscription},
				{Name: "Type", Value: l.Type},
				{Name: "Category", Value: string(l.Category)},
				{Name: "Dependency", Value: l.Dependency},
			},
			Link: "/letters?fingerprint=" + url.QueryEscape(l.Fingerprint),
		},
		Detail:     about + "\n" + text,
		DetailLink: "/letters/" + url.PathEscape(l.ID),
		At:         l.LastSeenAt,
	}
}
