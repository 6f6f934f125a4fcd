package chrome_test

import (
	"errors"
	"testing"

	"github.com/envision/resiliency/test/browser/chrome"
)

func TestFind_says_what_to_install(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv(chrome.PathVariable, "")
	if _, err := chrome.Find(); !errors.Is(err, chrome.ErrMissing) {
		t.Errorf("without Chromium: %v", err)
	}
	t.Setenv(chrome.PathVariable, "/nowhere/chromium")
	if _, err := chrome.Find(); !errors.Is(err, chrome.ErrMissing) {
		t.Errorf("with a wrong path: %v", err)
	}
}
