package jobs

import (
	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
)

// Cause says why something failed.
type Cause struct {
	// Kind is one of the contract's causes, such as job.CauseOOM; by default, and
	// when it is none of them, job.CauseOther.
	Kind job.Cause
	// Message is one line for a person; what exceeds 1,024 bytes is cut.
	Message string
	// Reason is a short word of the product's own, such as an error code.
	Reason string
}

// Because makes a cause of an error.
func Because(err error) Cause {
	if err == nil {
		return Cause{}
	}
	return Cause{Message: err.Error()}
}

func (c Cause) proto() *resiliencyv1.CauseDetail {
	if _, known := resiliencyv1.Cause_name[int32(c.Kind)]; !known || c.Kind == job.CauseUnspecified {
		c.Kind = job.CauseOther
	}
	return &resiliencyv1.CauseDetail{
		Cause: c.Kind, Message: job.Cut(c.Message, job.MaxMessageBytes), Reason: job.Cut(c.Reason, maxName),
	}
}
