package browser

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
)

// complaints collects what a page complains about.
type complaints struct {
	mu    sync.Mutex
	texts []string
}

func (c *complaints) addf(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.texts = append(c.texts, fmt.Sprintf(format, args...))
}

func (c *complaints) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.texts)
}

func (c *complaints) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	texts := c.texts
	c.texts = nil
	return texts
}

// listen takes the browser's messages. It must not wait for the browser.
func (c *complaints) listen(message any) {
	switch m := message.(type) {
	case *runtime.EventConsoleAPICalled:
		bad := []runtime.ConsoleAPICalledType{
			runtime.ConsoleAPICalledTypeError, runtime.ConsoleAPICalledTypeWarning, runtime.ConsoleAPICalledTypeAssert,
		}
		if slices.Contains(bad, m.Type) {
			c.addf("console %s: %s", m.Type, arguments(m.Args))
		}
	case *runtime.EventExceptionThrown:
		c.addf("exception: %s %s", m.ExceptionDetails.Text, arguments([]*runtime.RemoteObject{m.ExceptionDetails.Exception}))
	case *log.EventEntryAdded:
		if m.Entry.Level == log.EntryLevelError || m.Entry.Level == log.EntryLevelWarning {
			c.addf("%s %s: %s (%s)", m.Entry.Source, m.Entry.Level, m.Entry.Text, m.Entry.URL)
		}
	case *audits.EventIssueAdded:
		if d := m.Issue.Details; d != nil && d.ContentSecurityPolicyIssueDetails != nil {
			v := d.ContentSecurityPolicyIssueDetails
			c.addf("content security policy: %s broken by %q", v.ViolatedDirective, v.BlockedURL)
		}
	case *network.EventLoadingFailed:
		// A page that is left while it loads is no fault.
		if !m.Canceled {
			c.addf("request failed: %s %s", m.Type, m.ErrorText)
		}
	case *page.EventJavascriptDialogOpening:
		c.addf("a dialog opened: %s %q", m.Type, m.Message)
	}
}

func arguments(args []*runtime.RemoteObject) string {
	parts := make([]string, len(args))
	for i, a := range args {
		if a != nil {
			parts[i] = strings.TrimSpace(a.Description + " " + string(a.Value))
		}
	}
	return strings.Join(parts, " ")
}
