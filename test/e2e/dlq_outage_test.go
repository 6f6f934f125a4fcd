//go:build integration

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/envision/resiliency/test/stack/proxy"
	"github.com/envision/resiliency/test/stack/slackfake"
)

// A letter that cannot be stored is never acked: while Firestore is away it
// waits, and nothing is lost.
func TestFirestoreAwayFromDeadLetters(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "nostore")
	process := s.startHandler()
	const letters = 60
	remove := shared.Firestore.Inject(proxy.Fault{Project: s.ID, Cut: true})
	for i := range letters {
		s.die(fact(fmt.Sprintf("n-%d", i)), "permanent", "it breaks the contract")
	}
	s.quietly(outageFor(), "a letter was acked that is nowhere stored", func() bool { return s.ackedLetters() == 0 })
	if err := process.Check(); err != nil {
		t.Fatal(err)
	}
	remove()
	s.awaitHandled(letters)
	s.expectFinished()
	if list := s.awaitSlack(shared.Slack, s.SlackChannel(), letters); len(list) != 1 || list[0].count != letters {
		t.Errorf("Slack tells of %+v, want one message of %d letters", list, letters)
	}
}

// Slack being away delays nothing but Slack, and whatever it answers, or does
// not, there is one message in the end.
func TestSlackAwayFromDeadLetters(t *testing.T) {
	t.Parallel()
	slack := slackfake.Start()
	t.Cleanup(slack.Close) // after the services: they were started later
	s := newSystem(t, "noslack")
	slack.AddFault(slackfake.Fault{Status: 500})
	s.startHandler("SLACK_API_URL=" + slack.URL())
	const letters = 30
	for i := range letters {
		s.die(fact(fmt.Sprintf("s-%d", i)), "permanent", "it breaks the contract")
	}
	s.awaitHandled(letters)
	s.eventually("Slack to be tried", func() (bool, string) {
		n := slack.Calls("chat.postMessage")
		return n > 0, formatFloat(float64(n))
	})
	if list := slack.Messages(""); len(list) > 0 {
		t.Fatalf("Slack has messages though it answers 500: %v", list)
	}
	slack.ClearFaults()
	for _, fault := range []slackfake.Fault{
		{Method: "chat.postMessage", Times: 1, RetryAfter: 2 * time.Second},
		{Method: "chat.postMessage", Times: 1, Lost: true},
		{Method: "chat.update", Times: 1, Lost: true},
	} {
		slack.AddFault(fault)
	}
	s.awaitSlack(slack, s.SlackChannel(), letters)
	s.die(fact("one-more"), "permanent", "it breaks the contract")
	s.awaitSlack(slack, s.SlackChannel(), letters+1)
	s.quietly(2*time.Second, "Slack told of a letter twice", func() bool {
		list := inSlack(t, slack, s.SlackChannel())
		if len(list) == 1 && list[0].count == letters+1 {
			return true
		}
		for _, m := range list {
			t.Logf("in Slack: %s, %d edits: %q, %s", m.Timestamp, m.Edits, m.Text, m.Metadata)
		}
		return false
	})
	details := 0
	for _, m := range slack.Messages(s.SlackChannel()) {
		if m.ThreadTimestamp != "" {
			details++
			if !strings.Contains(m.Text, "it breaks the contract") {
				t.Errorf("a reply gives no detail: %q", m.Text)
			}
		}
	}
	if details == 0 {
		t.Error("the thread gives no details")
	}
}
