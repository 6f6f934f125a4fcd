package slackpost

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/slack-go/slack"

	"github.com/envision/resiliency/pkg/notify"
)

// Slack's limits of a message, in characters and numbers; text counts after it
// was escaped.
const (
	limitHeader  = 150
	limitText    = 3000
	limitField   = 2000
	limitFields  = 10
	limitBlocks  = 50
	limitMessage = 12000 // of all text in blocks; undocumented, so well below what was seen to fail
	limitPlain   = 3900  // of the text; Slack cuts at 40,000 and advises 4,000
)

// content is a message in Slack's form. Text alone always goes with the blocks:
// notifications show it.
func content(m *notify.Message) []slack.MsgOption {
	options := []slack.MsgOption{slack.MsgOptionMetadata(metadata(m.Ref))}
	text := fit(m.Fallback(m.Plain), limitPlain-len(m.Link)-1)
	if m.Link != "" {
		text += "\n" + link(m.Link)
	}
	options = append(options, slack.MsgOptionText(text, false))
	if m.Plain {
		return options
	}
	return append(options, slack.MsgOptionBlocks(blocks(m)...))
}

// builder collects blocks within the limits of a message.
type builder struct {
	blocks []slack.Block
	left   int
}

func blocks(m *notify.Message) []slack.Block {
	b := &builder{left: limitMessage}
	if m.Title != "" {
		b.add(slack.NewHeaderBlock(b.plain(m.Title, limitHeader)))
	}
	for _, section := range m.Sections {
		b.add(slack.NewSectionBlock(b.plain(section, limitText), nil, nil))
	}
	for from := 0; from < len(m.Fields); from += limitFields {
		b.fields(m.Fields[from:min(from+limitFields, len(m.Fields))])
	}
	var notes []slack.MixedElement
	for _, note := range m.Notes {
		notes = append(notes, b.plain(note, limitText))
	}
	if m.Link != "" {
		// The only text that Slack reads as markup, and it is all ours.
		notes = append(notes, slack.NewTextBlockObject(slack.MarkdownType, link(m.Link), false, true))
	}
	if len(notes) > 0 {
		b.blocks = append(b.blocks, slack.NewContextBlock("", notes...))
	}
	return b.blocks
}

// add takes a block while there is room; one place is kept for the notes.
func (b *builder) add(block slack.Block) {
	if len(b.blocks) < limitBlocks-1 && b.left > 0 {
		b.blocks = append(b.blocks, block)
	}
}

func (b *builder) fields(fields []notify.Field) {
	objects := make([]*slack.TextBlockObject, len(fields))
	for i, f := range fields {
		objects[i] = b.plain(f.Name+"\n"+f.Value, limitField)
	}
	b.add(slack.NewSectionBlock(nil, objects, nil))
}

// plain is text that Slack shows as it is: no mention, no link, no markup.
func (b *builder) plain(s string, limit int) *slack.TextBlockObject {
	s = fit(s, min(limit, max(b.left, 1)))
	b.left -= len([]rune(s))
	return slack.NewTextBlockObject(slack.PlainTextType, s, false, false)
}

// fit is text defanged and escaped, at most so many characters, never cut within
// an escape.
func fit(s string, limit int) string {
	const more = "…"
	var out strings.Builder
	runes := 0
	s = defang(s)
	for _, r := range s {
		piece := escape(r)
		size := len([]rune(piece))
		if runes+size > limit-1 {
			out.WriteString(more)
			break
		}
		out.WriteString(piece)
		runes += size
	}
	if out.Len() == 0 {
		return "-" // Slack refuses an empty text
	}
	return out.String()
}

// escape keeps Slack from reading its control characters.
func escape(r rune) string {
	switch r {
	case '&':
		return "&amp;"
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	default:
		return string(r)
	}
}

var (
	mention = regexp.MustCompile(`@([\pL\pN_])`)
	scheme  = regexp.MustCompile(`(?i)\bhttp(s?)://`)
)

// defang takes the power from what a text of strangers could call or lead to:
// a mention gets a space without width, a URL a scheme that is none.
func defang(s string) string {
	return scheme.ReplaceAllString(mention.ReplaceAllString(s, "@\u200b$1"), "hxxp$1://")
}

// link is our own link to a page, whose URL was checked.
func link(url string) string {
	url = strings.NewReplacer("&", "&amp;", "<", "%3C", ">", "%3E", "|", "%7C").Replace(url)
	return fmt.Sprintf("<%s|Open the page>", url)
}
