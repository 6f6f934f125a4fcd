package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"

	"github.com/envision/resiliency/test/browser/chrome"
	"github.com/envision/resiliency/test/stack"
)

var errNoCompiler = errors.New("no C compiler found, which Go's race detector needs: " +
	"install gcc and the C library's headers (Debian: gcc libc6-dev)")

var errNoNPM = errors.New("npm is not installed, which fetches the accessibility check of the tests of pages: install it (Debian: npm)")

// checkCmd finds out in a moment what would else fail after minutes of building.
type checkCmd struct {
	Race    bool `help:"Also check what race-built programs need."`
	Browser bool `help:"Also check what the tests of pages need."`
	Python  bool `help:"Also check what the tests of the Python SDK need."`
}

// Run names everything that this machine lacks.
func (c *checkCmd) Run(ctx context.Context) error {
	var errs []error
	if err := stack.Check(ctx); err != nil {
		errs = append(errs, err)
	}
	if c.Race {
		if _, err := exec.LookPath("gcc"); err != nil {
			errs = append(errs, errNoCompiler)
		}
	}
	if c.Browser {
		if _, err := chrome.Find(); err != nil {
			errs = append(errs, err)
		}
		if _, err := exec.LookPath("npm"); err != nil {
			errs = append(errs, errNoNPM)
		}
	}
	if c.Python {
		if out, err := exec.CommandContext(ctx, "tools/python/find.sh").CombinedOutput(); err != nil {
			errs = append(errs, fmt.Errorf("%s (%w)", bytes.TrimSpace(out), err))
		}
	}
	return errors.Join(errs...)
}
