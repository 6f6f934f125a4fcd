package job

import (
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// namespace of every event id of this product: uuid.NewSHA1 over the URL
// namespace and the module path. It must never change, or a replayed message
// would look like news.
//
//nolint:gochecknoglobals // a constant that Go cannot spell as one
var namespace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://github.com/envision/resiliency/events"))

// EventID gives a fact its id: UUIDv5 over the parts, whoever reports them, so
// two sources that saw one thing name it alike and a repeat is harmless. Parts
// are joined with their lengths, so ("ab","c") and ("a","bc") differ.
func EventID(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(strconv.Itoa(len(p)))
		b.WriteByte(':')
		b.WriteString(p)
	}
	return uuid.NewSHA1(namespace, []byte(b.String())).String()
}

// TimePart spells a moment for EventID, to the microsecond and in UTC.
func TimePart(t time.Time) string {
	return t.UTC().Truncate(Precision).Format(time.RFC3339Nano)
}
