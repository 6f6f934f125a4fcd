package rules

import (
	"regexp"
	"strings"
	"testing"
)

// Who follows the page on a new machine and in a new organisation has neither rights nor
// logins but those that it tells of, and these come before what needs them.
func TestInstall_tells_of_rights_and_logins(t *testing.T) {
	t.Parallel()
	text := string(read(t, "docs/install.md"))
	for _, c := range []struct{ first, then string }{
		{"`gke-gcloud-auth-plugin`", "gcloud container clusters get-credentials"},
		{"--role=roles/artifactregistry.reader", "gcloud container clusters create-auto"},
		{"--role=roles/container.defaultNodeServiceAccount", "gcloud container clusters create-auto"},
		{"--member=serviceAccount:$PROJECT_NUMBER-compute@developer.gserviceaccount.com", "gcloud container clusters create-auto"},
		{"gcloud services enable", "gcloud projects add-iam-policy-binding"},
		{"gcloud auth application-default login", "terraform -chdir=deploy/gcp init"},
	} {
		first, then := strings.Index(text, c.first), strings.Index(text, c.then)
		if first < 0 || then < 0 || first > then {
			t.Errorf("docs/install.md has %q at %d, and %q at %d, want the first before the second", c.first, first, c.then, then)
		}
	}
}

// GNU sed takes -i without an argument, that of macOS does not.
func TestCommands_edit_files_on_any_system(t *testing.T) {
	t.Parallel()
	inPlace := regexp.MustCompile(`\bsed\s+(?:-\S+\s+)*-[a-zA-Z]*i`)
	for _, name := range instructions(t) {
		if hit := inPlace.Find(read(t, name)); hit != nil {
			t.Errorf("%s has %q: use perl -pi -e", name, hit)
		}
	}
}
