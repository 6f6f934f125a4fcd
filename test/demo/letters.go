package demo

import (
	"context"
	"fmt"
	"slices"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"google.golang.org/grpc/codes"

	"github.com/envision/resiliency/pkg/messaging/topology"
	"github.com/envision/resiliency/test/drive"
	"github.com/envision/resiliency/test/stack"
	"github.com/envision/resiliency/test/stack/proxy"
)

const (
	// prefix begins the name of every Job of the demo.
	prefix = "demo"
	// updateDied are Jobs whose records take no commit until messages about them
	// have died; they come right by a replay.
	updateDied = "update-died"
	// unreadable are messages that cannot be decoded; each is kept, and shown.
	unreadable = "unreadable"
	// deadJobs is how many of each there are.
	deadJobs = 5
	// lettersPatience bounds the wait for each step of a letter.
	lettersPatience = 2 * time.Minute
)

// letters makes messages die while the Jobs run, and mends what can be mended.
type letters struct {
	stack   *stack.Stack
	project *stack.Project
	api     drive.Letters
	// letGo lets the records take commits.
	letGo func()
	// kept are the letters of the unreadable messages, by job.
	kept map[string]string
	// replayed are the jobs of which a letter was sent again.
	replayed map[string]bool
}

// newLetters makes the records of the Jobs whose updates die refuse every
// commit, before there is any.
func newLetters(s *stack.Stack, p *stack.Project) (*letters, error) {
	l := &letters{stack: s, project: p, kept: map[string]string{}, replayed: map[string]bool{}}
	for _, process := range p.Processes() {
		if process.Name() == stack.DLQHandler().Name {
			l.api.URL = process.URL()
		}
	}
	if l.api.URL == "" {
		return nil, fmt.Errorf("dead letters: no service %s", stack.DLQHandler().Name)
	}
	l.letGo = s.Firestore.Inject(proxy.Fault{
		Project: p.ID, Method: "Commit", Contains: "/documents/jobs/" + prefix + "-" + updateDied, Code: codes.Aborted,
	})
	return l, nil
}

// scenario are the Jobs whose updates die.
func (l *letters) scenario() drive.Scenario {
	return drive.Scenario{
		Name: updateDied, Jobs: deadJobs, Expected: drive.Succeeded, Spec: stack.JobSpec{Outcome: stack.OutcomeSucceed},
	}
}

// jobName is how drive names the Jobs of a plan.
func jobName(scenario string, n int) string { return fmt.Sprintf("%s-%s-%04d", prefix, scenario, n) }

// garbage begins with what no protobuf message does.
func garbage(jobID string) []byte { return []byte("\xff\xff\xff\xff about " + jobID) }

// play has messages die and replays them; it ends when all of that is done.
func (l *letters) play(ctx context.Context) error {
	defer l.letGo()
	if err := l.publishGarbage(ctx); err != nil {
		return err
	}
	if err := l.awaitDeaths(ctx); err != nil {
		return err
	}
	l.letGo()
	return l.replay(ctx)
}

func (l *letters) publishGarbage(ctx context.Context) error {
	client, err := l.project.PubSub(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	publisher := client.Publisher(topology.TopicJobEvents)
	defer publisher.Stop()
	for n := range deadJobs {
		id := jobName(unreadable, n+1)
		message := &pubsub.Message{Data: garbage(id), Attributes: map[string]string{"job_id": id}}
		if _, err := publisher.Publish(ctx, message).Get(ctx); err != nil {
			return fmt.Errorf("publish an unreadable message: %w", err)
		}
	}
	return nil
}

// awaitDeaths waits until each unreadable message is kept, and until a message
// about the end of each Job whose record takes no commit has died.
func (l *letters) awaitDeaths(ctx context.Context) error {
	return l.until(ctx, "messages to die", func() (bool, error) {
		kept, err := l.api.List(ctx, map[string]string{"category": "permanent"})
		if err != nil {
			return false, err
		}
		for _, letter := range kept {
			if len(letter.Pending) == 0 {
				l.kept[letter.JobID] = letter.ID
			}
		}
		died, err := l.api.List(ctx, map[string]string{
			"category": "retryable", "subscription": topology.SubscriptionJobEventsStatusUpdater,
		})
		if err != nil {
			return false, err
		}
		jobs := map[string]bool{}
		for _, letter := range died {
			jobs[letter.JobID] = true
		}
		return len(l.kept) >= deadJobs && len(jobs) >= deadJobs, nil
	})
}

// replay sends again what died of the records, until none of it is open: some
// were about to die when the records took commits again.
func (l *letters) replay(ctx context.Context) error {
	filter := map[string]string{"category": "retryable"}
	return l.until(ctx, "the letters to be replayed", func() (bool, error) {
		open, err := l.api.List(ctx, filter)
		if err != nil {
			return false, err
		}
		if len(open) > 0 {
			replay, err := l.api.Replay(ctx, filter, "the records take commits again")
			if err == nil && (replay.State != "DONE" || replay.Failed > 0) {
				err = fmt.Errorf("replay by filter ended as %+v", replay)
			}
			return false, err
		}
		return true, l.noteReplayed(ctx)
	})
}

func (l *letters) noteReplayed(ctx context.Context) error {
	sent, err := l.api.List(ctx, map[string]string{"state": "REPLAYED"})
	for _, letter := range sent {
		l.replayed[letter.JobID] = true
	}
	return err
}

// until asks again until it is done.
func (l *letters) until(ctx context.Context, what string, done func() (bool, error)) error {
	return await(ctx, what, 200*time.Millisecond, lettersPatience, func(context.Context) (bool, error) { return done() })
}

// check adds to the report what became of the letters: that the unreadable ones
// are kept as they were and shown, and that it was a replay that mended the rest.
func (l *letters) check(ctx context.Context, report *drive.Report) error {
	problems := map[string]string{}
	for n := range deadJobs {
		id := jobName(unreadable, n+1)
		letter, err := l.api.Open(ctx, l.kept[id])
		if err != nil {
			return fmt.Errorf("open the letter of job %s: %w", id, err)
		}
		problems[id] = wrongWith(&letter, id)
	}
	report.Include(unreadable, "KEPT", problems)
	for n := range deadJobs {
		if id := jobName(updateDied, n+1); !l.replayed[id] {
			return fmt.Errorf("job %s came right, but not by a replay: jobs of replayed letters are %v", id, l.replayed)
		}
	}
	return nil
}

// wrongWith says in what a letter differs from the message that died, "" if in
// nothing.
func wrongWith(letter *drive.Letter, jobID string) string {
	switch {
	case !slices.Equal(letter.Detail.Payload, garbage(jobID)):
		return fmt.Sprintf("the letter holds %q", letter.Detail.Payload)
	case letter.State != "OPEN" || letter.JobID != jobID || letter.Subscription != topology.SubscriptionJobEventsStatusUpdater:
		return fmt.Sprintf("the letter is %s, of job %q, from %s", letter.State, letter.JobID, letter.Subscription)
	case letter.Detail.Decoded == "" || letter.Reason == "":
		return "the letter shows nothing"
	default:
		return ""
	}
}
