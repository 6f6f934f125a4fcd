package web_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
	"pgregory.net/rapid"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore/search"
	shared "github.com/envision/resiliency/pkg/web"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/phase-tracer/internal/timeline"
	"github.com/envision/resiliency/services/phase-tracer/internal/web"
)

// hostile are texts that would do something on a page that does not expect them.
func hostile() []string {
	return []string{
		`<script>document.title = "owned"</script>`, `<img src=x onerror="document.title='owned'">`, `"><svg onload=alert(1)>`,
		"\u202Etxt.elif\u202C \u2066isolated\u200B\uFEFF", `javascript:alert(1)`, "{{.Data}} ${7*7} </pre></code></table></title></textarea>",
		"\x00\x1b[31mred\x07", "\xff\xfe\x80", strings.Repeat("W", 400), "]]> --> <!--", "' style='x' a=\"b", "", "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
	}
}

// everyText is a story in which each text that somebody else writes is t.
func everyText(text func() string) *timeline.Input {
	in := failedStory()
	r := in.Record
	r.View.Detail, r.View.DelayReason, r.View.Stage, r.View.Delayed = text(), text(), text(), true
	code := int32(1)
	r.View.Cause = job.CauseDetail{
		Cause: job.CauseOOM, Message: text(), Reason: text(), Pod: text(), Container: text(), Node: text(), ExitCode: &code,
	}
	r.Owner, r.Tenant, r.CorrelationID, r.OutputURI, r.UpdatedBy = text(), text(), text(), text(), text()
	r.Kubernetes = job.Kubernetes{Cluster: text(), Namespace: text(), Name: text(), UID: "u" + text()}
	for i, p := range in.Phases {
		e := p.Event
		e.EventId = fmt.Sprint(i)
		e.Name, e.Message, e.Details = text(), text(), map[string]string{text(): text(), text(): text()}
		e.Stage = &resiliencyv1.Stage{Name: text(), Ordinal: 30}
		if ended := e.GetEnded(); ended != nil {
			ended.Cause = &resiliencyv1.CauseDetail{Cause: job.CauseOOM, Message: text(), Pod: text(), Container: text(), Node: text(), Reason: text()}
		}
		if c := e.GetFailureCaptured(); c != nil {
			c.Pod, c.Node, c.PodStatusJson, c.Incomplete, c.Uri = text(), text(), text(), text(), text()
			c.Logs = []*resiliencyv1.ContainerLog{{Container: text(), Tail: text()}, {Container: text(), Tail: text(), Previous: true}}
			c.Events = []*resiliencyv1.KubernetesNote{{Object: text(), Type: text(), Reason: text(), Message: text(), Count: 2}}
		}
		in.Phases[i].Witnesses = []timeline.Witness{{Source: text(), Reporter: text()}}
	}
	in.Phases = append(in.Phases,
		event(text(), text(), 610, func(e *resiliencyv1.PhaseEvent) {
			e.Message = text()
			e.Event = &resiliencyv1.PhaseEvent_RecoveryJudged{RecoveryJudged: &resiliencyv1.RecoveryJudged{RunId: text(), Rule: text(), Reasoning: text()}}
		}),
		event(text(), text(), 611, func(e *resiliencyv1.PhaseEvent) {
			e.Message = text()
			e.Event = &resiliencyv1.PhaseEvent_Corrected{Corrected: &resiliencyv1.StatusCorrected{}}
		}),
		event(text(), text(), 612, func(e *resiliencyv1.PhaseEvent) {
			e.Event = &resiliencyv1.PhaseEvent_Progressed{Progressed: &resiliencyv1.PhaseProgressed{Done: 1, Unit: text()}}
		}))
	in.Updates[0].Event.Text, in.Updates[0].Event.EventId = text(), text()
	in.Letters[0] = timeline.Letter{
		ID: text(), State: text(), Subscription: text(), Reason: text(), Category: text(), Cleanup: text(), LastSeenAt: time.Unix(1, 0),
	}
	return in
}

// Whatever anybody writes, it stays text: no element, attribute, address or
// invisible character comes of it.
func TestPages_HostileTexts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	list := hostile()
	next := 0
	for range list {
		f.lines["render-7"] = build(everyText(func() string { next++; return list[next%len(list)] }))
		harmless(t, f.get(everybody(), "/jobs/render-7").Body.String())
		next++ // another text in each place
	}
	f.jobs = search.Page{Next: &search.Cursor{ID: list[0]}, Rows: []search.Row{{JobID: list[1], State: list[2], Stage: list[3], Cause: list[4], Owner: list[6], Tenant: list[7]}}}
	f.ledger = web.Ledger{Rows: []web.LedgerRow{{Stage: list[0], Phase: list[1], Why: list[5], Slow: true}}}
	harmless(t, f.get(everybody(), "/jobs").Body.String())
	harmless(t, f.get(everybody(), "/ledger").Body.String())
	harmless(t, f.get(everybody(), "/jobs?owner=%3Cscript%3Ealert(1)%3C%2Fscript%3E&stage=%22%3E%3Cb%3E").Body.String())
	harmless(t, f.get(everybody(), "/jobs?state=%3Cscript%3E").Body.String())
}

func TestPages_AnyTexts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	sample := rapid.OneOf(rapid.SampledFrom(hostile()), rapid.String(),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 40), func(b []byte) string { return string(b) }),
		rapid.StringMatching(`[<>"'&/=a-z{}.\\ -]{0,60}`))
	rapid.Check(t, func(t *rapid.T) {
		f.lines["render-7"] = build(everyText(func() string { return sample.Draw(t, "text") }))
		w := f.get(everybody(), "/jobs/render-7")
		if w.Code != 200 {
			t.Fatalf("status %d:\n%s", w.Code, w.Body)
		}
		harmless(t, w.Body.String())
	})
}

// The text is there to be read: a log shows just what the container wrote.
func TestJob_ShowsTextsAsTheyAre(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, text := range hostile() {
		if text == "" {
			continue
		}
		f.lines["render-7"] = build(everyText(func() string { return text }))
		p := f.page(t, "/jobs/render-7")
		if got := p.class("log")[0].all("code")[0].FirstChild.Data; got != shared.Visible(text) {
			t.Errorf("the log shows %q, want %q", got, shared.Visible(text))
		}
	}
}

type failer interface {
	Helper()
	Errorf(format string, args ...any)
}

var allowedScript = regexp.MustCompile(`^/static/(live|follow)\.[0-9a-f]{16}\.js$`)

// harmless fails the test if a page has anything that no page of ours has.
func harmless(t failer, page string) {
	t.Helper()
	if !utf8.ValidString(page) {
		t.Errorf("the page is no UTF-8")
	}
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Errorf("parse: %v", err)
		return
	}
	ours := strings.Fields(`html head body meta title link script header main nav section article p a h1 h2 h3 h4 ul ol li dl dt dd table caption
		thead tbody tr th td details summary code pre time span bdi strong div form label input select option button br
		svg defs pattern path g rect line text`)
	for n := range root.Descendants() {
		switch n.Type { //nolint:exhaustive // the rest are no content
		case html.CommentNode:
			t.Errorf("a comment: %q", n.Data)
		case html.TextNode:
			invisible := func(r rune) bool { return r != '\n' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co) }
			if strings.ContainsFunc(n.Data, invisible) {
				t.Errorf("invisible characters in %q", n.Data)
			}
		case html.ElementNode:
			if !slices.Contains(ours, n.Data) {
				t.Errorf("an element <%s>", n.Data)
			}
			inert(t, n)
		}
	}
}

// inert checks the attributes of one element.
func inert(t failer, n *html.Node) {
	t.Helper()
	for _, a := range n.Attr {
		if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "srcdoc" || strings.ContainsAny(a.Key, `"'<`) {
			t.Errorf("<%s> has an attribute %s=%q", n.Data, a.Key, a.Val)
		}
		if a.Key == "href" && !strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "#") && !strings.HasPrefix(a.Val, "https://letters.example.com/letters/") {
			t.Errorf("a link to %q", a.Val)
		}
	}
	if src, _ := attribute(n, "src"); n.Data == "script" && (!allowedScript.MatchString(src) || n.FirstChild != nil) {
		t.Errorf("a script %q", src)
	}
}
