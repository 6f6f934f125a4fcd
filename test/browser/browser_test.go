package browser_test

import (
	"errors"
	"testing"

	"github.com/envision/resiliency/test/browser"
)

func TestFind_says_what_to_install(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv(browser.PathVariable, "")
	if _, err := browser.Find(); !errors.Is(err, browser.ErrMissing) {
		t.Errorf("without Chromium: %v", err)
	}
	t.Setenv(browser.PathVariable, "/nowhere/chromium")
	if _, err := browser.Find(); !errors.Is(err, browser.ErrMissing) {
		t.Errorf("with a wrong path: %v", err)
	}
}
