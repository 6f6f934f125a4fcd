package jobstore

import "time"

// Recovery is what recovery-job keeps of a job, beside what is known of it. It
// takes no part in the merge, and no other service writes it.
type Recovery struct {
	// Resumes is how often recovery has asked for another run, in all attempts.
	Resumes int64
	// ResumeAttempt is the attempt that the job was in when it last asked, and
	// ResumeUntil when that command expires; zero when it never did.
	ResumeAttempt int32
	ResumeUntil   time.Time
	// Revision is that of the record after recovery's last commit, and HeardAt
	// when somebody else had last changed it by then.
	Revision int64
	HeardAt  time.Time
}

// HeardAt is when the record was last changed by anybody but recovery, whose own
// verdicts and marks are no sign of life.
func (m *Meta) HeardAt() time.Time {
	if m.Recovery.Revision != 0 && m.Recovery.Revision == m.Revision {
		return m.Recovery.HeardAt
	}
	return m.UpdatedAt
}

const fieldRecovery = "recovery"

func (r *Recovery) fields() map[string]any {
	c := make(compact, 5)
	c.num("resumes", r.Resumes)
	c.num("resume_attempt", int64(r.ResumeAttempt))
	c.time("resume_until", r.ResumeUntil)
	c.num("revision", r.Revision)
	c.time("heard_at", r.HeardAt)
	return c
}

func readRecovery(r *reader) Recovery {
	return Recovery{
		Resumes: r.int64("resumes"), ResumeAttempt: r.int32("resume_attempt"), ResumeUntil: r.time("resume_until"),
		Revision: r.int64("revision"), HeardAt: r.time("heard_at"),
	}
}
