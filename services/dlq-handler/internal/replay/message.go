package replay

import (
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/messaging"
	"github.com/envision/resiliency/pkg/messaging/topology"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// refusal says why a letter can never be sent as it is; "" if it can.
func refusal(l *letters.Letter, now time.Time) string {
	if l.Subscription == letters.Unknown {
		return "It does not say in which of our subscriptions it died, so there is none to send it to."
	}
	if _, ok := topology.Find(l.Subscription); !ok {
		return "Its subscription " + l.Subscription + " is none of ours any more, so there is none to send it to."
	}
	if l.PayloadSize == 0 && len(l.Attributes) == 0 {
		return "It is empty: it has neither payload nor attributes, and Pub/Sub takes no such message."
	}
	command := &resiliencyv1.JobCommand{}
	if l.Type != string(command.ProtoReflect().Descriptor().FullName()) || proto.Unmarshal(l.Payload, command) != nil {
		return ""
	}
	if end := command.GetNotAfter(); end != nil && end.AsTime().Before(now) {
		return fmt.Sprintf("The command expired at %s; a worker would drop it.", end.AsTime().UTC().Format(time.RFC3339))
	}
	return ""
}

// attributes are the message's own, with the target of the replay.
func attributes(l *letters.Letter, replay int64) map[string]string {
	out := make(map[string]string, len(l.Attributes)+2)
	for _, a := range l.Attributes {
		out[a.Key] = a.Value
	}
	out[topology.AttributeReplayTarget] = l.Subscription
	out[messaging.AttributeReplayNumber] = strconv.FormatInt(replay, 10)
	return out
}
