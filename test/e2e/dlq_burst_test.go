//go:build integration

package e2e

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"cloud.google.com/go/pubsub/v2"
	"golang.org/x/sync/errgroup"

	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/test/stack"
)

// burst is how many letters come at once.
func burst() int {
	if soak() {
		return 5000
	}
	return 500
}

const (
	// burstAhead is how many letters wait at once. The emulator knows no limit of
	// outstanding messages: it sends all that wait into the stream's buffer, and
	// after a crash it keeps thousands of them from everybody for many minutes.
	burstAhead = 500
	// burstPatience is how long it may take until the last one is done with: the
	// race detector, the emulators and the other tests share two cores.
	burstPatience = 6 * time.Minute
)

// reasons are the causes that the letters of a burst die of. What differs
// between two letters of one cause must not make two causes.
func reasons(jobID string, n int) []string {
	return []string{
		"apply event of job " + jobID + ": attempt 1000 is not from 1 to 100",
		fmt.Sprintf("commit job %s: the record kept changing (conflict %d)", jobID, n),
		"commit job " + jobID + ": deadline exceeded after " + strconv.Itoa(n) + " ms",
	}
}

// flood publishes letters of three causes to the dead letters, as fast as it
// goes, but never more than ahead before those that were acked; 0 is no limit.
func (s *system) flood(letters, ahead int, payload func(jobID string) []byte) error {
	p := s.pubsub.Publisher(topology.TopicDeadLetters)
	defer p.Stop()
	categories := []string{"permanent", "retryable", "dependency"}
	results := make([]*pubsub.PublishResult, letters)
	for n := range letters {
		for ahead > 0 && n-s.ackedLetters() >= ahead {
			select {
			case <-time.After(20 * time.Millisecond):
			case <-s.t.Context().Done():
				return context.Cause(s.t.Context())
			}
		}
		jobID := fmt.Sprintf("b-%05d", n)
		results[n] = p.Publish(s.t.Context(), &pubsub.Message{
			Data: payload(jobID),
			Attributes: death(topology.SubscriptionJobEventsStatusUpdater, categories[n%3], reasons(jobID, n)[n%3],
				"job_id", jobID, "dead_letter_dependency", "firestore"),
		})
	}
	for n, result := range results {
		if _, err := result.Get(s.t.Context()); err != nil {
			return fmt.Errorf("publish letter %d: %w", n, err)
		}
	}
	return nil
}

// inStore counts the stored letters without reading them.
func (s *system) inStore() int {
	s.t.Helper()
	result, err := s.firestore.Collection("dead_letters").NewAggregationQuery().WithCount("n").Get(s.t.Context())
	if err != nil {
		s.t.Fatalf("count letters: %v", err)
	}
	n, _ := result["n"].(*firestorepb.Value)
	return int(n.GetIntegerValue())
}

// newLetters is how many letters the running process has stored. Its metric is
// asked: to count documents ten times a second takes the emulator's time.
func (s *system) newLetters() int {
	s.t.Helper()
	return int(s.counted(handler, "dlq_handler_letters_total", map[string]string{"outcome": "new"}))
}

// ackedLetters is how many letters were acked.
func (s *system) ackedLetters() int {
	return int(shared.PubSub.Counts(s.ID).Acked[topology.SubscriptionDeadLettersDLQHandler])
}

// awaitHandled waits until so many letters are stored and as many acked. A crash
// may lose acks, so that there are more of them.
func (s *system) awaitHandled(letters int) {
	s.t.Helper()
	s.within(burstPatience, strconv.Itoa(letters)+" letters to be handled", func() (bool, string) {
		if acked := s.ackedLetters(); acked < letters {
			return false, strconv.Itoa(acked) + " acked"
		}
		n := s.inStore()
		return n == letters, strconv.Itoa(n) + " stored"
	})
}

// A burst of letters of three causes is stored whole, and Slack tells of each
// cause once and with its exact count, though dlq-handler is killed in the midst.
func TestBurstOfDeadLetters(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "burst")
	process := s.startHandler("AUTO_REPLAY_DEPENDENCIES=none")
	begun := time.Now()
	payload := func(jobID string) []byte { return wire(t, fact(jobID)) }
	var flood errgroup.Group
	flood.Go(func() error { return s.flood(burst(), burstAhead, payload) })
	s.within(burstPatience, "half of the letters to be stored", func() (bool, string) {
		n := s.newLetters()
		return n >= burst()/2, strconv.Itoa(n)
	})
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	if n := s.inStore(); n >= burst() {
		t.Fatalf("all %d letters were stored before dlq-handler was killed, so the test shows nothing", n)
	}
	if err := process.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := flood.Wait(); err != nil {
		t.Fatal(err)
	}
	s.awaitHandled(burst())
	t.Attr("burst_stored", fmt.Sprintf("%d letters in %.1f s, one kill included", burst(), time.Since(begun).Seconds()))
	messages := s.awaitSlack(shared.Slack, s.SlackChannel(), burst())
	s.expectFinished()
	s.expectCounts(messages)
}

// expectFinished waits until nothing is left to be done for any letter, so that
// Slack is told no more, and expects that none was counted twice.
func (s *system) expectFinished() {
	s.t.Helper()
	var list []letter
	s.eventually("all letters to be done with", func() (bool, string) {
		list = s.listed(url.Values{"state": {"ANY"}})
		pending := slices.IndexFunc(list, func(l letter) bool { return len(l.Pending) > 0 })
		return pending < 0, fmt.Sprintf("letter %d of %d is not", pending, len(list))
	})
	for _, l := range list {
		if l.Count != 1 {
			s.t.Errorf("letter of %s died once and is counted %d times", l.JobID, l.Count)
		}
	}
}

// expectCounts expects one message for each of the three causes, with all of its
// letters and none twice.
func (s *system) expectCounts(seen []told) {
	s.t.Helper()
	want := make([]int, 3)
	for n := range burst() {
		want[n%3]++
	}
	slices.Sort(want)
	counts := func() []int {
		list := []int{}
		for _, m := range inSlack(s.t, shared.Slack, s.SlackChannel()) {
			list = append(list, m.count)
		}
		slices.Sort(list)
		return list
	}
	s.eventually("a message for each cause with its count", func() (bool, string) {
		return slices.Equal(counts(), want), fmt.Sprint(counts())
	})
	// A fact counted twice would show with the next update.
	s.quietly(2*time.Second, "a count changed", func() bool { return slices.Equal(counts(), want) })
	for _, m := range seen {
		if m.Edits > 20 {
			s.t.Errorf("a message was updated %d times", m.Edits)
		}
	}
}

const (
	// largeLetter is the size of a letter of the burst of large ones.
	largeLetter = 100 << 10
	// memoryLimit is the peak that it may cost.
	memoryLimit = 200 << 20
)

// Thousands of large letters at once do not fill the memory. The peak is
// measured at full size and without the race detector, which multiplies it.
func TestBurstOfLargeLetters(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "large")
	spec := stack.DLQHandler()
	letters := 200
	if soak() {
		letters, spec.Binary = 5000, filepath.Join(root, ".run", "bin", handler)
	} else {
		spec.Binary = binary(handler)
	}
	spec.Env = append(spec.Env, "AUTO_REPLAY_DEPENDENCIES=none")
	process := s.start(spec)
	begun := time.Now()
	filler := strings.Repeat("x", largeLetter)
	if err := s.flood(letters, 0, func(jobID string) []byte { return []byte(jobID + filler) }); err != nil {
		t.Fatal(err)
	}
	s.awaitHandled(letters)
	peak := peakMemory(t, process.PID())
	t.Attr("large_letters", fmt.Sprintf("%d letters of 100 KB in %.1f s, peak memory %d MiB", letters, time.Since(begun).Seconds(), peak>>20))
	if soak() && peak > memoryLimit {
		t.Errorf("dlq-handler took %d MiB at its peak, want %d at most", peak>>20, memoryLimit>>20)
	}
}

// peakMemory is the most memory that a process has had resident, in bytes.
func peakMemory(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.Atoi(strings.Fields(text)[0])
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatalf("process %d shows no peak", pid)
	return 0
}
