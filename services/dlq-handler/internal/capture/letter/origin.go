package letter

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/pkg/resilience"
)

// origin is what a dead letter says about its death, as far as it can be so.
type origin struct {
	subscription, topic string
	attempts            int64
	reason, dependency  string
	category            resilience.Category
	publishedAt         time.Time
	replay              int64
}

const (
	maxAttempts = 1000      // Pub/Sub allows 100
	maxReplays  = 1_000_000 // more than anybody can click
	// attributeForwardedError is what Pub/Sub adds for some kinds of subscription.
	attributeForwardedError = "CloudPubSubDeadLetterSourceDeliveryErrorMessage"
)

// dependencyName is what a dependency may be called: a word of ours.
var dependencyName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// originOf reads the attributes. What Pub/Sub has added goes before what
// messaging adds: a letter that we moved never has both.
func originOf(attributes map[string]string, project string, now time.Time) origin {
	o := origin{replay: number(attributes[messaging.AttributeReplayNumber], maxReplays)}
	name := attributes[messaging.AttributeForwardedSubscription]
	if name != "" {
		o.forwarded(attributes)
		if p := attributes[messaging.AttributeForwardedProject]; p != "" && p != project {
			name = "" // of another project: not ours, whatever it is called
		}
	} else {
		name = attributes[messaging.AttributeDeadLetterSubscription]
		o.moved(attributes)
	}
	if o.publishedAt.After(now.Add(10*time.Minute)) || o.publishedAt.Year() < 2000 {
		o.publishedAt = time.Time{}
	}
	name = name[strings.LastIndexByte(name, '/')+1:] // it may be the full name
	o.subscription, o.topic = letters.Unknown, letters.Unknown
	if s, ok := topology.Find(name); ok && !s.DeadLetters() {
		o.subscription, o.topic = s.ID, s.Topic
	}
	return o
}

// forwarded reads what Pub/Sub tells of a message that it gave up.
func (o *origin) forwarded(attributes map[string]string) {
	o.attempts = number(attributes[messaging.AttributeForwardedAttempts], maxAttempts)
	o.publishedAt = moment(attributes[messaging.AttributeForwardedPublishTime])
	o.category = resilience.CategoryRetryable
	o.reason = "its deliveries were used up and nobody could say why: the process that had it ended, or did not answer in time"
	if o.attempts > 0 {
		o.reason = fmt.Sprintf("%s (%d deliveries)", o.reason, o.attempts)
	}
	if text := attributes[attributeForwardedError]; text != "" {
		o.reason = job.Cut(text, job.MaxMessageBytes)
	}
}

// moved reads what messaging tells of a message that it moved.
func (o *origin) moved(attributes map[string]string) {
	o.attempts = number(attributes[messaging.AttributeDeadLetterAttempts], maxAttempts)
	o.publishedAt = moment(attributes[messaging.AttributeDeadLetterPublishTime])
	o.reason = job.Cut(attributes[messaging.AttributeDeadLetterReason], job.MaxMessageBytes)
	if o.reason == "" {
		o.reason = "the letter does not say why"
	}
	switch c := resilience.Category(attributes[messaging.AttributeDeadLetterCategory]); c {
	case resilience.CategoryPermanent, resilience.CategoryRetryable, resilience.CategoryDependency:
		o.category = c
	default:
		o.category = letters.Unknown
	}
	if name := attributes[messaging.AttributeDeadLetterDependency]; dependencyName.MatchString(name) {
		o.dependency = name
	}
}

// number reads a count; 0 for what is none or cannot be true.
func number(text string, most int64) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > most {
		return 0
	}
	return n
}

func moment(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Microsecond)
}
