// Package chrome finds the browser that tests of pages need. It starts nothing.
package chrome

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// PathVariable names a Chromium that is not on the PATH.
const PathVariable = "CHROME_PATH"

// ErrMissing is why no test of pages can run on a machine.
var ErrMissing = errors.New("no Chromium found, which the tests of pages need: " +
	"install it (Debian: chromium) or name the program in " + PathVariable)

// Find returns the path of Chromium; the error wraps ErrMissing.
func Find() (string, error) {
	if path := os.Getenv(PathVariable); path != "" {
		if _, err := exec.LookPath(path); err != nil {
			return "", fmt.Errorf("%w (it is %q, which is no program)", ErrMissing, path)
		}
		return path, nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrMissing
}
