package letter

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	"github.com/envision/resiliency/pkg/jobstore/letters"
)

// What differs between letters that died of one cause.
var (
	quoted  = regexp.MustCompile("\"(?:[^\"\\\\]|\\\\.)*\"|'[^']*'|`[^`]*`")
	uuids   = regexp.MustCompile(`[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}`)
	hexes   = regexp.MustCompile(`\b(?:0x)?[0-9a-fA-F]{8,}\b`)
	numbers = regexp.MustCompile(`[0-9]+`)
)

// minName is the shortest id that is replaced in a reason: a shorter one may be
// part of any word.
const minName = 3

// fingerprint is the same for letters that died of the same thing: in one
// subscription, as one type, with one category, of one reason in other words.
func fingerprint(l *letters.Letter) string {
	parts := strings.Join([]string{
		l.Subscription, l.Type, string(l.Category), l.Dependency, normalize(l.Reason, l.JobID, l.EventID, l.CorrelationID),
	}, "\x00")
	sum := sha256.Sum256([]byte(parts))
	return hex.EncodeToString(sum[:8])
}

// normalize takes out of a reason what is of one message alone. Space is made
// one blank, since protobuf varies it from build to build on purpose.
func normalize(reason string, names ...string) string {
	for _, name := range names {
		if len(name) >= minName {
			reason = strings.ReplaceAll(reason, name, "<id>")
		}
	}
	reason = quoted.ReplaceAllString(reason, "<text>")
	reason = uuids.ReplaceAllString(reason, "<id>")
	reason = hexes.ReplaceAllString(reason, "<hex>")
	reason = numbers.ReplaceAllString(reason, "<n>")
	return strings.Join(strings.Fields(reason), " ")
}
