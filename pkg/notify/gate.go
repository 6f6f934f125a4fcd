package notify

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/envision/resiliency/pkg/resilience"
)

// gate knows when the sink may be called: its rate per channel, the rests that
// it asked for, and pauses after failures that hit every message alike. It
// belongs to one goroutine.
type gate struct {
	perMinute int
	// all is until when nothing is sent, failures how many calls in a row met an
	// outage or a refused token.
	all      time.Time
	failures int
	channels map[string]*channelGate
}

// channelGate is the gate of one channel.
type channelGate struct {
	// sends is the bucket of messages a second, fresh that of new messages a minute.
	sends, fresh *rate.Limiter
	until        time.Time
	failures     int
	// denied is the code that the channel was last refused with.
	denied string
}

// Slack takes about one message a second in a channel, and short bursts.
const (
	sendsPerSecond = 1
	sendsBurst     = 3
)

func newGate(perMinute int) *gate {
	return &gate{perMinute: perMinute, channels: map[string]*channelGate{}}
}

func (g *gate) channel(name string) *channelGate {
	c := g.channels[name]
	if c == nil {
		c = &channelGate{
			sends: rate.NewLimiter(sendsPerSecond, sendsBurst),
			fresh: rate.NewLimiter(rate.Limit(float64(g.perMinute)/foldWindow.Seconds()), g.perMinute),
		}
		g.channels[name] = c
	}
	return c
}

// closedUntil is when a channel may be called, before or at now when it may.
func (g *gate) closedUntil(channel string) time.Time { return later(g.all, g.channel(channel).until) }

// take takes a token for one call now, or says when there will be one.
func (g *gate) take(channel string, now time.Time) (at time.Time, ok bool) {
	r := g.channel(channel).sends.ReserveN(now, 1)
	if delay := r.DelayFrom(now); delay > 0 {
		r.CancelAt(now)
		return now.Add(delay), false
	}
	return now, true
}

// ok notes a call that the sink took.
func (g *gate) ok(channel string) {
	c := g.channel(channel)
	g.failures, c.failures, c.denied = 0, 0, ""
	g.all, c.until = time.Time{}, time.Time{}
}

// failed notes a call that failed and returns when the channel may be tried
// again; zero when the failure says nothing about other messages.
func (g *gate) failed(channel string, err *SendError, now time.Time) time.Time {
	c := g.channel(channel)
	switch err.Kind {
	case KindLimited:
		c.until = later(c.until, now.Add(max(err.RetryAfter, time.Second)))
		return c.until
	case KindDown:
		g.all = now.Add(outage.Delay(g.failures))
		g.failures++
		return g.all
	case KindDenied:
		g.all = now.Add(refused.Delay(g.failures))
		g.failures++
		return g.all
	case KindChannel:
		c.until = now.Add(refused.Delay(c.failures))
		c.failures++
		return c.until
	default:
		return time.Time{}
	}
}

// outage are the pauses while Slack does not answer, refused those while a
// person has to act.
var (
	outage  = resilience.Backoff{Initial: time.Second, Max: time.Minute}           //nolint:gochecknoglobals // constant
	refused = resilience.Backoff{Initial: 15 * time.Second, Max: 10 * time.Minute} //nolint:gochecknoglobals // constant
)
