package browser

import (
	"context"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/envision/resiliency/test/browser/chrome"
)

// patience bounds one step of a test: far more than any takes, since the race
// detector and other tests may share the machine.
const patience = 60 * time.Second

// Browser is one running Chromium; its pages share nothing with each other.
type Browser struct {
	ctx    context.Context // chromedp keeps its connection in it
	folder string
}

// Folder is where it keeps its files until it ends.
func (b *Browser) Folder() string { return b.folder }

// Start starts a browser that ends with the test. Tests may run side by side:
// each browser has a process and a folder of its own.
func Start(t testing.TB) *Browser {
	t.Helper()
	path, err := chrome.Find()
	if err != nil {
		t.Fatal(err)
	}
	b := &Browser{}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.ModifyCmdFunc(b.prepare),
		// It talks to the test alone: nothing is fetched, updated or reported.
		chromedp.DisableGPU, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-domain-reliability", true), chromedp.Flag("no-pings", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"),
		chromedp.Flag("lang", "en-US"), chromedp.Flag("hide-scrollbars", false),
	)
	// Not t.Context, which ends before the cleanups: the browser is asked to end
	// first, and killed with all its children if it does not.
	allocated, release := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	t.Cleanup(release)
	var end context.CancelFunc
	b.ctx, end = chromedp.NewContext(allocated, chromedp.WithErrorf(quiet))
	t.Cleanup(end)
	began := make(chan error, 1)
	go func() { began <- chromedp.Do(b.ctx) }()
	select {
	case err = <-began:
	case <-time.After(patience):
		err = context.DeadlineExceeded
	}
	if err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return b
}

// prepare has the kernel kill the browser when the test dies, and notes its
// folder. A signal for the test's group does not reach the browser: the test ends
// it, or dies.
func (b *Browser) prepare(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	for _, arg := range cmd.Args {
		if folder, ok := strings.CutPrefix(arg, "--user-data-dir="); ok {
			b.folder = folder
		}
	}
}

// quiet drops what chromedp says of messages that it does not know: the browser
// is often newer than the library.
func quiet(string, ...any) {}
