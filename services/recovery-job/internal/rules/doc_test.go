package rules

import (
	"os"
	"strings"
	"testing"
)

// The reference names every key, value and field, and its example is one.
func TestReference(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	words := []string{
		keyVersion, keyDefaults, keyRules, keyName, keySilentFor, keyDo, keyHardLimit, keyRunningLimit, keyEndingGrace,
		keyMatch + "." + keyStage, keyMatch + "." + keyState, keyMatch + "." + keyLabels,
		keyResume + "." + keyTimes, keyResume + "." + keyNotAfter,
		keyOutput + "." + keyExpect, keyOutput + "." + keyMarker, keyOutput + "." + keySettle,
		keyTell + "." + keyUser, keyTell + "." + keyDevelopers,
		string(DoInvestigate), string(DoResume), string(DoFail), string(DoDelay),
		string(ExpectMarker), string(ExpectAny), string(ExpectNone), DefaultMarker,
	}
	words = append(words, LabelNames()...)
	for _, f := range Fields() {
		words = append(words, "{"+f+"}")
	}
	for _, w := range words {
		if !strings.Contains(text, "`"+w+"`") {
			t.Errorf("`%s` is not in the reference", w)
		}
	}
	_, rest, _ := strings.Cut(text, "```yaml\n")
	example, _, found := strings.Cut(rest, "```")
	set, err := Parse("example", []byte(example))
	if !found || err != nil || len(set.Warnings) > 0 {
		t.Errorf("the example: %v, %+v", err, set)
	}
}
