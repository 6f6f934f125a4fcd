package web

import (
	"encoding/hex"
	"unicode/utf8"

	"github.com/envision/resiliency/pkg/jobstore/letters"
)

// previewBytes is how much of a payload a page shows: as text, or less in hex.
const (
	previewBytes = 8 << 10
	previewHex   = 1 << 10
)

// life is what happened to a letter from one death to the next.
type life struct {
	// Number counts from 1.
	Number int
	Events []letters.Event
}

// lives parts a history where a replayed letter died again.
func lives(history []letters.Event) []life {
	var out []life
	for _, e := range history {
		if len(out) == 0 || e.What == letters.EventDiedAgain {
			out = append(out, life{Number: len(out) + 1})
		}
		last := &out[len(out)-1]
		last.Events = append(last.Events, e)
	}
	return out
}

// preview shows the beginning of a payload.
func preview(payload []byte) (text string, binary, cut bool) {
	if utf8.Valid(payload) {
		head := payload[:min(len(payload), previewBytes)]
		for !utf8.Valid(head) { // cut within a character
			head = head[:len(head)-1]
		}
		return string(head), false, len(head) < len(payload)
	}
	head := payload[:min(len(payload), previewHex)]
	return hex.Dump(head), true, len(head) < len(payload)
}

// notice is a sentence at the top of a page. Only its code comes by the address.
type notice struct {
	Code, Kind, Text string
	// Detail is why, in the words of whoever refused.
	Detail string
}

func noticeOf(code string) *notice {
	n := &notice{Code: code}
	switch code {
	case string(letters.ReplaySent):
		n.Kind, n.Text = "good", "The letter was sent again. Only the subscription that it died in receives it."
	case string(letters.ReplayAlready):
		n.Kind, n.Text = "warn", "Nothing was sent: the letter was replayed before and has not died since. Replaying twice does no harm."
	case string(letters.ReplayBusy):
		n.Kind, n.Text = "warn", "Nothing was sent: another replay is sending this letter at the moment."
	case resultDiscarded:
		n.Kind, n.Text = "good", "The letter was discarded."
	default:
		return nil
	}
	return n
}

func refusedNotice(why string) *notice {
	return &notice{Code: string(letters.ReplayRefused), Kind: "bad", Text: "The letter was not sent.", Detail: why}
}

// resultDiscarded is the code of the notice after a letter was discarded.
const resultDiscarded = "discarded"
