package rules

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/jobstore/phases"
)

// A capsule that goes before the phase that names it leaves a dead link, and one
// that stays keeps logs for longer than anybody said.
func TestTerraform_keepsCapsulesAsLongAsPhases(t *testing.T) {
	t.Parallel()
	if got, want := daysKept(t, "capsules.tf", "capsule_days", `default\s+=`), inDays(phases.DefaultTTL); got != want {
		t.Errorf("capsules.tf: the default of capsule_days is %d, phases are kept for %d days", got, want)
	}
}

// A payload that goes before its letter makes a letter that cannot be replayed. An
// open letter has no end, so its payload must have more than the time after it.
func TestTerraform_keepsPayloadsLongerThanClosedLetters(t *testing.T) {
	t.Parallel()
	closed := inDays(letters.KeepClosed)
	if least := daysKept(t, "letters.tf", "letters_days", `condition\s+= var\.letters_days >`); least != closed {
		t.Errorf("letters.tf: letters_days may be any above %d, closed letters are kept for %d days", least, closed)
	}
	days := daysKept(t, "letters.tf", "letters_days", `default\s+=`)
	if days < 2*closed {
		t.Errorf("letters.tf: with letters_days %d a letter may be open for %d days only", days, days-closed)
	}
	if text := fmt.Sprintf("`letters_days` (%d)", days); !strings.Contains(string(read(t, "deploy/gcp/README.md")), text) {
		t.Errorf("deploy/gcp/README.md does not say %s", text)
	}
}

// Buckets hold what may hold anything: nobody from outside reads them, what goes is
// gone, and one service writes there, which is told the name.
func TestTerraform_guardsBuckets(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]struct{ days, writer, setting string }{
		"capsules.tf": {"capsule_days", "event-streamer", "CAPSULE_BUCKET"},
		"letters.tf":  {"letters_days", "dlq-handler", "LETTERS_BUCKET"},
	} {
		text := string(read(t, "deploy/gcp/"+file))
		for _, part := range []string{
			`uniform_bucket_level_access\s+= true`, `public_access_prevention\s+= "enforced"`, `retention_duration_seconds = 0`,
			`age = var\.` + want.days + `\n`, `output "\w+" \{\n\s+description = "The value for ` + want.setting + ` in the overlay of ` + want.writer,
			`role\s+= "roles/storage\.objectUser"\n\s+member\s+= google_service_account\.service\["` + want.writer + `"\]\.member`,
		} {
			if !regexp.MustCompile(part).MatchString(text) {
				t.Errorf("%s has no %s", file, part)
			}
		}
		if n := strings.Count(text, `"roles/storage.objectUser"`); n != 1 {
			t.Errorf("%s lets %d write", file, n)
		}
	}
}

// daysKept is the number behind a part of a variable in a file of deploy/gcp.
func daysKept(t *testing.T, file, variable, part string) int {
	t.Helper()
	found := regexp.MustCompile(`variable "` + variable + `" \{[^}]*\b` + part + ` (\d+)\b`).FindStringSubmatch(string(read(t, "deploy/gcp/"+file)))
	if found == nil {
		t.Fatalf("%s: variable %s has no %s", file, variable, part)
	}
	days, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return days
}

func inDays(d time.Duration) int { return int(d.Hours() / 24) }
