// Package rules says which jobs are stuck and what is to be done about them:
// the rule file of a team, read strictly, and the rules that hold without one.
//
// A rule owns the jobs that its match describes; the first rule in the file
// that describes a job owns it. Its times then say when the job is looked at
// and how long silence is borne. Stages are names in the file, not code: a team
// adds a stage by writing a rule for it.
//
// The package is pure. It never looks at a clock, a cluster or a bucket, and it
// never decides about a job: package judge does, by the rule found here.
package rules
