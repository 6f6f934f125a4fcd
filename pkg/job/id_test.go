package job

import (
	"errors"
	"strings"
	"testing"
)

// What is refused is told by the rule that it breaks: each name that the rule in the
// error's own words allows is allowed.
func TestCheck(t *testing.T) {
	t.Parallel()
	const rule = "letters, digits, '-', '_' or '.'"
	for name, valid := range map[string]bool{
		"train": true, "Train_1.b-C": true, "7": true, strings.Repeat("a", MaxIDBytes): true,
		"-a": false, "a.": false, "a/b": false, "a b": false, "\xff": false, strings.Repeat("a", MaxIDBytes+1): false,
	} {
		id, stage := CheckID(name), CheckStage(name)
		if (id == nil) != valid || (stage == nil) != valid {
			t.Errorf("%q: as an id %v, as a stage %v, want valid %t", name, id, stage, valid)
			continue
		}
		if valid {
			continue
		}
		if !errors.Is(id, ErrInvalidID) || !strings.Contains(id.Error(), rule) {
			t.Errorf("%q: %v does not tell what an id is", name, id)
		}
		if text := stage.Error(); !strings.Contains(text, rule) || strings.Contains(text, "lower-case") {
			t.Errorf("%q: %v does not tell what a stage is", name, stage)
		}
	}
	if CheckID("") == nil || CheckStage("") != nil {
		t.Error("a job needs an id, a claim need not name its stage")
	}
}
