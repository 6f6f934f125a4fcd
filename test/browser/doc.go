// Package browser drives a headless Chromium for tests of pages: it clicks and
// types as a person does, and remembers everything that a page complains about.
//
// It never retries what a person would not, reaches no address but the test's,
// and leaves no process and no file behind. A machine without Chromium fails the
// test, with a sentence that says what to install.
package browser
