package redact

import "strings"

// Lines redacts a text that comes line by line. It is String for each line, and
// remembers that it is inside a private key, which spans many. The zero value is
// ready; it is not safe for concurrent use.
type Lines struct{ inKey bool }

const (
	keyBegin = "-----BEGIN "
	keyEnd   = "-----END "
	keyWord  = "PRIVATE KEY"
)

// Next returns one line as it may be shown. The lines within a private key come
// back as Mark.
func (l *Lines) Next(line string) string {
	if l.inKey {
		if strings.Contains(line, keyEnd) {
			l.inKey = false
		}
		return Mark
	}
	if _, rest, found := strings.Cut(line, keyBegin); found && strings.Contains(rest, keyWord) {
		l.inKey = !strings.Contains(rest, keyEnd)
	}
	return String(line)
}
