package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/envision/resiliency/pkg/redact"
	"github.com/envision/resiliency/pkg/resilience"
)

// Fact is one thing that happened and that people are to know of, such as a
// dead letter. Facts of one fingerprint in one channel are one message.
type Fact struct {
	// Key identifies the fact: stated again under the same fingerprint, it does
	// not count again. Something that happens anew (a letter reopened) needs a key
	// of its own. Required.
	Key string
	// Fingerprint is the kind of the fact. Required.
	Fingerprint string
	// Channel replaces the configured channel.
	Channel string
	// Content describes the kind. Title is required; Link may be a path below
	// Config.PublicURL. The newest fact's content is shown.
	Content
	// Detail describes this one fact; of the first few it is shown in the thread.
	Detail string
	// DetailLink leads to this one fact; a path below Config.PublicURL, or a URL.
	DetailLink string
	// At is when it happened; zero means now.
	At time.Time
}

// Digest is a message that is posted once.
type Digest struct {
	// Key identifies it: a second one with the same key is ignored. Required.
	Key string
	// Channel replaces the configured channel.
	Channel string
	// Content is what it says. Title is required.
	Content
}

// Bounds of what is kept, in runes; below Slack's own, so that escaping and the
// words around it fit.
const (
	maxTitle    = 140
	maxSection  = 2400
	maxSections = 20
	maxFields   = 20
	maxName     = 60
	maxValue    = 400
	maxDetail   = 2000
	// rawSlack is how many bytes more than can be shown are looked at for secrets.
	rawSlack = 4 << 10
)

var (
	errNoKey         = errors.New("it has no key")
	errNoFingerprint = errors.New("it has no fingerprint")
	errNoTitle       = errors.New("it has no title")
)

func (f *Fact) check() error {
	switch {
	case f.Key == "":
		return resilience.Permanent(errNoKey)
	case f.Fingerprint == "":
		return resilience.Permanent(errNoFingerprint)
	case strings.TrimSpace(f.Title) == "":
		return resilience.Permanent(errNoTitle)
	}
	return nil
}

// hash makes a document id that depends on all parts and on where one ends.
func hash(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		sum := sha256.Sum256([]byte(p))
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// shown is the text as it may be shown, at most so many runes.
func shown(s string, runes int) string {
	if most := runes*utf8.UTFMax + rawSlack; len(s) > most {
		// The last word goes: half a secret is not known as one.
		s = s[:most]
		s = s[:max(strings.LastIndexAny(s, " \t\n"), most-rawSlack)]
	}
	return cut(strings.TrimSpace(redact.String(s)), runes)
}

// cut shortens s to so many runes, and says so.
func cut(s string, runes int) string {
	if len(s) <= runes {
		return s
	}
	n := 0
	for i := range s {
		if n++; n == runes {
			if len([]rune(s[i:])) == 1 {
				return s
			}
			return s[:i] + "…"
		}
	}
	return s
}

// line is shown on one line.
func line(s string, runes int) string {
	return shown(strings.Join(strings.Fields(s), " "), runes)
}

// shown returns the content as it may be shown and kept, links made absolute.
func (c *Content) shown(base *url.URL) Content {
	out := Content{Title: line(c.Title, maxTitle), Link: absolute(base, c.Link)}
	for _, s := range c.Sections[:min(len(c.Sections), maxSections)] {
		if s = shown(s, maxSection); s != "" {
			out.Sections = append(out.Sections, s)
		}
	}
	for _, f := range c.Fields[:min(len(c.Fields), maxFields)] {
		f = Field{Name: line(f.Name, maxName), Value: shown(f.Value, maxValue)}
		if f.Name != "" && f.Value != "" {
			out.Fields = append(out.Fields, f)
		}
	}
	return out
}

// absolute makes a link that leads somewhere, or none: "" without a base for a
// path, and for anything but http and https.
func absolute(base *url.URL, link string) string {
	if link == "" {
		return ""
	}
	u, err := url.Parse(link)
	if err != nil {
		return ""
	}
	if !u.IsAbs() && u.Host == "" && base != nil {
		path, query := u.EscapedPath(), u.RawQuery
		if u = base.JoinPath(path); u != nil {
			u.RawQuery = query
		}
	}
	if u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil || len(u.String()) > maxLink {
		return ""
	}
	return u.String()
}

// maxLink is below Slack's bound for a URL.
const maxLink = 2000
