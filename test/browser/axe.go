package browser

import (
	"fmt"
	"os"

	"github.com/chromedp/chromedp"
)

// Barriers lists what keeps people out of the page as it stands: findings of
// axe-core about WCAG 2.2 A and AA and its best practices, those without much
// effect left out. The engine is the file at path, which `tools/build.sh pages`
// fetches.
func (p *Page) Barriers(path string) []string {
	p.t.Helper()
	engine, err := os.ReadFile(path)
	if err != nil {
		p.t.Fatalf("read the accessibility check: %v (tools/build.sh pages fetches it)", err)
	}
	p.do("load the accessibility check", chromedp.Evaluate[chromedp.Void](string(engine)+"; undefined"))
	return get(p, "check accessibility", chromedp.Evaluate[[]string](fmt.Sprintf(`axe.run(document, {
			runOnly: %s, resultTypes: ["violations"],
		}).then(found => found.violations.filter(v => v.impact !== "minor").flatMap(v => v.nodes.slice(0, 5).map(n =>
			v.impact + " " + v.id + ": " + v.help + ": " + n.target.join(" ") + ": " + n.html.slice(0, 120))))`,
		`["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]`), chromedp.EvalAwaitPromise))
}
