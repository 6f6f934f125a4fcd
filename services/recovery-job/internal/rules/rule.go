package rules

import (
	"time"

	"github.com/envision/resiliency/pkg/job"
)

// Do is what a rule wants done about a job that is found silent. Nothing of it
// concerns a job that the cluster shows: what lives is left alone, and what
// has ended is recorded as it ended.
type Do string

const (
	// DoInvestigate leaves the job as it is and tells the developers.
	DoInvestigate Do = "investigate"
	// DoResume asks the stage's worker to run again, up to a number of times.
	DoResume Do = "resume"
	// DoFail closes the job as failed.
	DoFail Do = "fail"
	// DoDelay tells the user that the job is late, and waits on.
	DoDelay Do = "delay"
)

// Expect is what output a rule takes for success.
type Expect string

const (
	// ExpectMarker wants the marker that carries the run's UID or attempt.
	ExpectMarker Expect = "marker"
	// ExpectAny takes any object that this run has written.
	ExpectAny Expect = "any"
	// ExpectNone does not look: output proves nothing about these jobs.
	ExpectNone Expect = "none"
)

// Rule is one rule of the file.
type Rule struct {
	// Name is unique in the file; it names the rule in metrics, records and Slack.
	Name string
	// Match describes the jobs that the rule owns.
	Match Match
	// SilentFor is how long nothing may be heard of a job before it counts as
	// stuck and is looked at.
	SilentFor time.Duration
	// Do is what happens to a job of which nothing is found.
	Do Do
	// Resume belongs to DoResume.
	Resume Resume
	// HardLimit is the silence after which a job is closed as failed although
	// nobody can tell whether it or the pipeline is silent; 0 for never.
	HardLimit time.Duration
	// RunningLimit is how long a run may live before the developers are told; 0
	// for never. It never ends a job.
	RunningLimit time.Duration
	// EndingGrace is how long a Kubernetes Job may take from the decision that it
	// ends to its end. Beyond it, its node is dead and the decision counts.
	EndingGrace time.Duration
	// Output is what proves success once the Kubernetes Job is gone.
	Output Output
	// User is what the user is told when the job is closed or resumed, Developers
	// what they are told of any verdict; the zero Text takes the verdict's own
	// sentence.
	User, Developers Text
	// Line is where the rule begins in its file, 1 for the first.
	Line int
}

// Resume says how often and for how long a worker is asked.
type Resume struct {
	// Times is how many times a job is resumed before it is closed as failed.
	Times int
	// NotAfter is how long a command may be carried out after it was decided.
	NotAfter time.Duration
}

// Output says where success shows.
type Output struct {
	Expect Expect
	// Marker is the name of the marker below the job's output prefix.
	Marker string
	// Settle is how long nothing may have been written there before it counts.
	Settle time.Duration
}

// Match describes jobs by what their records say. A job must fit every part; an
// empty part fits all.
type Match struct {
	// Stages are names of stages as job events carry them; "*" is a wildcard
	// within a name.
	Stages []string
	// States are those that the job may be in.
	States []job.State
	// Labels holds patterns by the name of a label (see LabelNames); the job's
	// value must fit one of them.
	Labels map[string][]string
}

// Subject is what a rule can see of a job.
type Subject struct {
	JobID string
	Stage string
	State job.State
	// Labels are the values of LabelNames; an absent one is empty.
	Labels map[string]string
	// QuietSince is when the last was heard of the job.
	QuietSince time.Time
}

// Set is a rule file that was read; the zero value has no rules.
type Set struct {
	Rules []Rule
	// Warnings are what is odd about the file but does no harm.
	Warnings []Problem
}

// Found is the rule that owns a job.
type Found struct {
	// Rule is nil when no rule of the file describes the job.
	Rule *Rule
	// Due is when the job's silence becomes too long by this rule.
	Due time.Time
}

// The labels that a rule can ask for: what a record says of a job beside its
// stage and state.
const (
	LabelCluster   = "cluster"
	LabelJobID     = "job-id"
	LabelNamespace = "namespace"
	LabelOwner     = "owner"
	LabelTenant    = "tenant"
)

// LabelNames lists them.
func LabelNames() []string {
	return []string{LabelCluster, LabelJobID, LabelNamespace, LabelOwner, LabelTenant}
}
