package job

import (
	"errors"
	"fmt"
	"regexp"
)

// MaxAttempt is the highest number of a run; what claims more is a mistake.
const MaxAttempt = 100

// MaxIDBytes is the longest job id or stage name: that of a Kubernetes label value.
const MaxIDBytes = 63

// ErrInvalidID says that a text cannot be a job id.
var ErrInvalidID = errors.New("a job id is 1 to 63 letters, digits, '-', '_' or '.', and begins and ends with a letter or digit")

// labelValue is what Kubernetes allows as a label value, except the empty one.
// It can never be a path, so an id is safe as a document's name.
var labelValue = regexp.MustCompile(`^[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`)

// CheckID returns nil if id can name a job, else an error that wraps
// ErrInvalidID.
func CheckID(id string) error {
	if labelValue.MatchString(id) {
		return nil
	}
	return fmt.Errorf("%q: %w", Cut(id, 2*MaxIDBytes), ErrInvalidID)
}

// CheckStage returns nil if name can name a stage; empty is allowed.
func CheckStage(name string) error {
	if name == "" || labelValue.MatchString(name) {
		return nil
	}
	return fmt.Errorf("stage %q is not 1 to %d letters, digits, '-', '_' or '.', beginning and ending with a letter or digit",
		Cut(name, 2*MaxIDBytes), MaxIDBytes)
}
