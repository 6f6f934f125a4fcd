package web

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// funcs are the functions of all templates.
func funcs(assets *Assets) template.FuncMap {
	return template.FuncMap{
		"asset":    assets.Path,
		"user":     User,
		"visible":  Visible,
		"time":     Time,
		"duration": Duration,
		"size":     Size,
		"count":    countAny,
	}
}

// Visible makes of any text one that reads as it is: bytes that are no UTF-8,
// control characters (but tab and line feed) and invisible ones, those that turn
// the direction of writing among them, are shown by their code.
func Visible(s string) string {
	plain := 0
	for plain < len(s) && (s[plain] >= ' ' && s[plain] < 0x7f || s[plain] == '\n' || s[plain] == '\t') {
		plain++
	}
	if plain == len(s) {
		return s // as nearly all are: a page has thousands
	}
	var b strings.Builder
	b.WriteString(s[:plain])
	for i := plain; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\n' || r == '\t':
			b.WriteRune(r)
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp, unicode.Noncharacter_Code_Point):
			if r < 0x10000 {
				fmt.Fprintf(&b, `\u%04x`, r)
			} else {
				fmt.Fprintf(&b, `\U%08x`, r)
			}
		default:
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	return b.String()
}

// User is text of unknown origin within a line of ours: visible, escaped, and
// isolated, so that its direction of writing does not reach beyond it.
func User(v any) template.HTML {
	//nolint:gosec // escaped right here
	return template.HTML("<bdi>" + template.HTMLEscapeString(Visible(fmt.Sprint(v))) + "</bdi>")
}

// Time is a point in time in UTC, for people and machines; a dash for the zero time.
func Time(t time.Time) template.HTML {
	if t.IsZero() {
		return `<span aria-label="none">–</span>`
	}
	t = t.UTC()
	//nolint:gosec // made of digits alone
	return template.HTML(`<time datetime="` + t.Format(time.RFC3339Nano) + `">` + t.Format("2006-01-02 15:04:05 UTC") + `</time>`)
}

// Duration is a length of time with its two largest units: 3d 4h, 2m 5s, 1.5s, 20ms.
func Duration(d time.Duration) string {
	if d < 0 {
		return "-" + Duration(-max(d, -1<<63+1))
	}
	type unit struct {
		of   time.Duration
		name string
	}
	units := []unit{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}}
	for i, u := range units[:3] {
		if d >= u.of {
			small := units[i+1]
			text := strconv.FormatInt(int64(d/u.of), 10) + u.name
			if rest := d % u.of / small.of; rest > 0 {
				text += " " + strconv.FormatInt(int64(rest), 10) + small.name
			}
			return text
		}
	}
	if d >= time.Second {
		return d.Truncate(100 * time.Millisecond).String()
	}
	return d.Truncate(time.Millisecond).String()
}

// Size is a number of bytes: 512 B, 3.4 KiB, 10 MiB.
func Size(n int64) string {
	const k = 1024
	if n < k {
		return strconv.FormatInt(n, 10) + " B"
	}
	value, name := float64(n)/k, "KiB"
	for _, next := range []string{"MiB", "GiB", "TiB"} {
		if value < k {
			break
		}
		value, name = value/k, next
	}
	return strings.TrimSuffix(strconv.FormatFloat(value, 'f', 1, 64), ".0") + " " + name
}

// Count is a number with its noun: 1 letter, 5,000 letters.
func Count[N int | int64](n N, noun string) string {
	digits := strconv.FormatInt(int64(n), 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if n == 1 {
		return digits + " " + noun
	}
	return digits + " " + noun + "s"
}

// countAny is Count for templates, whose functions have no type parameters.
func countAny(n any, noun string) (string, error) {
	switch n := n.(type) {
	case int:
		return Count(n, noun), nil
	case int64:
		return Count(n, noun), nil
	default:
		return "", fmt.Errorf("count of %s is a %T", noun, n)
	}
}
