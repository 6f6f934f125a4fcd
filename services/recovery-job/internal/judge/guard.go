package judge

import "fmt"

// Guard stops a run that would fail jobs by the hundred because nothing is
// there: more likely than so many dead jobs is a fault of ours, a cluster that
// was rebuilt or a bucket that was emptied.
type Guard struct {
	// Percent of the jobs looked at that may fail by ABSENCE or ASSUMED in one run.
	Percent int
	// AtLeast is how many may do so whatever the percentage.
	AtLeast int
	// Confirmed switches the guard off: a person has looked.
	Confirmed bool
}

// DefaultGuard is what holds unless configured otherwise.
func DefaultGuard() Guard { return Guard{Percent: 20, AtLeast: 20} }

// Withhold turns the verdicts from silence into ActionWithheld if they are too
// many of looked, the number of jobs that the run looked at, and returns how
// many it turned. All others stay as they are.
func (g Guard) Withhold(verdicts []Verdict, looked int) int {
	if g.Confirmed {
		return 0
	}
	closing := 0
	for i := range verdicts {
		if verdicts[i].Action == ActionFail && verdicts[i].FromSilence() {
			closing++
		}
	}
	if closing <= max(g.AtLeast, looked*g.Percent/100) {
		return 0
	}
	for i := range verdicts {
		if v := &verdicts[i]; v.Action == ActionFail && v.FromSilence() {
			v.withhold(closing, looked)
		}
	}
	return closing
}

func (v *Verdict) withhold(closing, looked int) {
	v.Action, v.Reason, v.Claims, v.Attention = ActionWithheld, ReasonMassFailure, nil, true
	v.Sentence = fmt.Sprintf("withheld, since this run would fail %d of %d jobs because nothing is there: %s", closing, looked, v.Sentence)
	v.User, v.Developers = v.Sentence, v.Sentence
}
