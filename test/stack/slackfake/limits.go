package slackfake

import (
	"encoding/json"
	"net/url"
	"unicode/utf8"
)

// Limits of a message, from Slack's reference of Block Kit and chat.postMessage.
const (
	maxBlocks = 50
	maxHeader = 150
	maxText   = 3000
	maxFields = 10
	maxField  = 2000
	maxPlain  = 40000
)

type textObject struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type block struct {
	Type   string       `json:"type"`
	Text   *textObject  `json:"text"`
	Fields []textObject `json:"fields"`
}

// check returns Slack's error for a message that breaks its limits, "" for none.
func check(form url.Values) string {
	if utf8.RuneCountInString(form.Get("text")) > maxPlain {
		return "msg_too_long"
	}
	if metadata := form.Get("metadata"); metadata != "" && !json.Valid([]byte(metadata)) {
		return "invalid_metadata_format"
	}
	if form.Get("blocks") == "" {
		if form.Get("text") == "" {
			return "no_text"
		}
		return ""
	}
	var blocks []block
	if json.Unmarshal([]byte(form.Get("blocks")), &blocks) != nil {
		return "invalid_blocks_format"
	}
	if len(blocks) > maxBlocks {
		return "invalid_blocks"
	}
	for i := range blocks {
		if !blocks[i].fits() {
			return "invalid_blocks"
		}
	}
	return ""
}

func (b *block) fits() bool {
	limit := maxText
	if b.Type == "header" {
		limit = maxHeader
	}
	if b.Text != nil && !within(b.Text.Text, limit) {
		return false
	}
	for _, f := range b.Fields {
		if !within(f.Text, maxField) {
			return false
		}
	}
	return len(b.Fields) <= maxFields
}

func within(s string, limit int) bool {
	n := utf8.RuneCountInString(s)
	return n > 0 && n <= limit
}
