package proxy

import (
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
)

// pubsubReader counts messages and what became of them.
func pubsubReader(method string) frameReader {
	switch method {
	case "Publish":
		return publishReader()
	case "StreamingPull":
		return streamingPullReader()
	case "Pull":
		return pullReader()
	case "Acknowledge":
		return acknowledgeReader()
	case "ModifyAckDeadline":
		return modifyReader()
	default:
		return frameReader{}
	}
}

func publishReader() frameReader {
	var topic string
	var messages int64
	return frameReader{
		request: func(b []byte, _ *Counts) {
			m, _ := decode(b, &pubsubpb.PublishRequest{})
			topic, messages = lastPart(m.GetTopic()), int64(len(m.GetMessages()))
		},
		end: func(code codes.Code, counts *Counts) {
			if code == codes.OK {
				counts.Published[topic] += messages
			}
		},
	}
}

// streamingPullReader also counts acks in the stream itself: some clients send
// them there, some as calls of their own.
func streamingPullReader() frameReader {
	var subscription string
	return frameReader{
		request: func(b []byte, counts *Counts) {
			m, _ := decode(b, &pubsubpb.StreamingPullRequest{})
			if m.GetSubscription() != "" { // only in the first request
				subscription = lastPart(m.GetSubscription())
			}
			bump(counts.Acked, subscription, int64(len(m.GetAckIds())))
			for _, seconds := range m.GetModifyDeadlineSeconds() {
				if seconds == 0 {
					counts.Nacked[subscription]++
				}
			}
		},
		response: func(b []byte, counts *Counts) {
			m, _ := decode(b, &pubsubpb.StreamingPullResponse{})
			bump(counts.Delivered, subscription, int64(len(m.GetReceivedMessages())))
		},
	}
}

func pullReader() frameReader {
	var subscription string
	return frameReader{
		request: func(b []byte, _ *Counts) {
			m, _ := decode(b, &pubsubpb.PullRequest{})
			subscription = lastPart(m.GetSubscription())
		},
		response: func(b []byte, counts *Counts) {
			m, _ := decode(b, &pubsubpb.PullResponse{})
			bump(counts.Delivered, subscription, int64(len(m.GetReceivedMessages())))
		},
	}
}

func acknowledgeReader() frameReader {
	var m *pubsubpb.AcknowledgeRequest
	return frameReader{
		request: func(b []byte, _ *Counts) { m, _ = decode(b, &pubsubpb.AcknowledgeRequest{}) },
		end: func(code codes.Code, counts *Counts) {
			if code == codes.OK {
				bump(counts.Acked, lastPart(m.GetSubscription()), int64(len(m.GetAckIds())))
			}
		},
	}
}

func modifyReader() frameReader {
	var m *pubsubpb.ModifyAckDeadlineRequest
	return frameReader{
		request: func(b []byte, _ *Counts) { m, _ = decode(b, &pubsubpb.ModifyAckDeadlineRequest{}) },
		end: func(code codes.Code, counts *Counts) {
			if code == codes.OK && m.GetAckDeadlineSeconds() == 0 {
				bump(counts.Nacked, lastPart(m.GetSubscription()), int64(len(m.GetAckIds())))
			}
		},
	}
}

// bump leaves keys out that nothing happened to.
func bump(counts map[string]int64, key string, n int64) {
	if n > 0 {
		counts[key] += n
	}
}
