package letters

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strconv"

	"github.com/google/uuid"

	"github.com/envision/resiliency/pkg/job"
)

// ID names the letter of a message that died in a subscription. A message whose
// payload tells the id of its fact (a UUID) and the job is the same letter
// whoever published it; any other is known by its bytes. attributes are those of
// the message itself, sorted by key.
func ID(subscription, jobID, eventID string, payload []byte, attributes []Attribute) string {
	if uuid.Validate(eventID) == nil {
		return job.EventID("letter", subscription, jobID, eventID)
	}
	h := sha256.New()
	_, _ = h.Write(payload) // a hash never fails
	for _, a := range attributes {
		for _, s := range [...]string{a.Key, a.Value} {
			_, _ = io.WriteString(h, strconv.Itoa(len(s))+":"+s)
		}
	}
	return job.EventID("letter", subscription, strconv.Itoa(len(payload)), hex.EncodeToString(h.Sum(nil)))
}
