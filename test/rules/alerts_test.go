package rules

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

const (
	alertsFile = "deploy/gcp/alerts.tf"
	runbooks   = "docs/runbooks"
)

// clusters are those that the alerts are asked about in tests.
func clusters() []string { return []string{"main", "second"} }

// alerts evaluates the locals of alerts.tf, for those clusters.
func alerts(t *testing.T) map[string]cty.Value {
	t.Helper()
	known := map[string]cty.Value{}
	for _, name := range clusters() {
		known[name] = cty.EmptyObjectVal
	}
	tables := locals(t, alertsFile, &hcl.EvalContext{
		Variables: map[string]cty.Value{"var": cty.ObjectVal(map[string]cty.Value{
			"clusters": cty.MapVal(known), "witness_container": cty.StringVal("event-streamer-witness"),
		})},
		Functions: map[string]function.Function{
			"concat": stdlib.ConcatFunc, "flatten": stdlib.FlattenFunc, "join": stdlib.JoinFunc, "keys": stdlib.KeysFunc,
		},
	}, "alerts", "log_metrics")
	values := map[string]cty.Value{}
	for name, table := range tables {
		for key, row := range table.AsValueMap() {
			values[name+"."+key] = row
		}
	}
	return values
}

// locals evaluates some of the locals of a file of Terraform.
func locals(t *testing.T, name string, given *hcl.EvalContext, wanted ...string) map[string]cty.Value {
	t.Helper()
	file, problems := hclparse.NewParser().ParseHCL(read(t, name), name)
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	content, _, problems := file.Body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "locals"}}})
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	values := map[string]cty.Value{}
	for _, block := range content.Blocks {
		attributes, problems := block.Body.JustAttributes()
		if problems.HasErrors() {
			t.Fatal(problems)
		}
		for _, key := range wanted {
			if attribute, ok := attributes[key]; ok {
				value, problems := attribute.Expr.Value(given)
				if problems.HasErrors() {
					t.Fatal(problems)
				}
				values[key] = value
			}
		}
	}
	if len(values) != len(wanted) {
		t.Fatalf("%s has not all of the locals %v", name, wanted)
	}
	return values
}

// rows returns one of the tables of alerts.tf with a field of each row.
func rows(values map[string]cty.Value, table, field string) map[string]string {
	fields := map[string]string{}
	for key, row := range values {
		if name, ok := strings.CutPrefix(key, table+"."); ok {
			fields[name] = row.GetAttr(field).AsString()
		}
	}
	return fields
}

// Whoever is woken finds a page of that name, and no page is of an alert that was
// taken away.
func TestAlerts_have_runbooks(t *testing.T) {
	t.Parallel()
	pages := map[string]bool{}
	for _, name := range files(t) {
		if page, ok := strings.CutSuffix(filepath.Base(name), ".md"); ok && filepath.Dir(name) == runbooks {
			pages[page] = true
		}
	}
	for name, severity := range rows(alerts(t), "alerts", "severity") {
		if severity != "page" && severity != "ticket" {
			t.Errorf("alert %s has severity %q", name, severity)
		}
		if !pages[name] {
			t.Errorf("alert %s has no page in %s", name, runbooks)
			continue
		}
		delete(pages, name)
		checkRunbook(t, name)
	}
	for name := range pages {
		t.Errorf("%s/%s.md is of no alert", runbooks, name)
	}
}

// The bounds of a runbook: it is read at three in the morning, and Cloud
// Monitoring sends 8 KiB at most.
const maxRunbookLines, maxRunbookBytes = 60, 8 << 10

func checkRunbook(t *testing.T, name string) {
	t.Helper()
	text := string(read(t, filepath.Join(runbooks, name+".md")))
	if strings.Count(text, "\n") > maxRunbookLines || len(text) > maxRunbookBytes {
		t.Errorf("runbook %s is too long for the night", name)
	}
	at := -1
	for _, part := range []string{"# " + name + "\n", "\n## Look first\n", "\n## Do\n", "\n## Over when\n"} {
		next := strings.Index(text, part)
		if next <= at {
			t.Errorf("runbook %s: %q is missing or out of place", name, strings.TrimSpace(part))
		}
		at = next
	}
	for _, link := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(text, -1) {
		if !exists(filepath.Join(runbooks, link[1])) {
			t.Errorf("runbook %s links to %s, which is not there", name, link[1])
		}
	}
}

// An alert on a metric that nobody writes never fires, and a page that names one
// sends its reader astray.
func TestAlerts_ask_for_metrics_that_exist(t *testing.T) {
	t.Parallel()
	known, values := metricNames(t), alerts(t)
	for name := range rows(values, "log_metrics", "filter") {
		known["logging_googleapis_com:user_"+name] = true
	}
	// Pub/Sub's own.
	known["pubsub_googleapis_com:subscription_oldest_unacked_message_age"] = true
	for name, query := range rows(values, "alerts", "query") {
		asked := metricsOf(query)
		if len(asked) == 0 {
			t.Errorf("alert %s asks for no metric: %s", name, query)
		}
		for _, metric := range asked {
			if !known[metric] {
				t.Errorf("alert %s asks for metric %s, which nobody writes", name, metric)
			}
		}
		if strings.Count(query, "(") != strings.Count(query, ")") || strings.Count(query, "{") != strings.Count(query, "}") {
			t.Errorf("alert %s: brackets of its query do not match: %s", name, query)
		}
		page := filepath.Join(runbooks, name+".md")
		if !exists(page) {
			continue // told by TestAlerts_have_runbooks
		}
		for _, metric := range ownMetric.FindAllString(string(read(t, page)), -1) {
			if !known[metric] {
				t.Errorf("runbook %s names metric %s, which nobody writes", name, metric)
			}
		}
	}
}

var (
	ownMetric = regexp.MustCompile(`\b(resiliency|event_streamer|status_updater|dlq_handler|recovery_job|phase_tracer)_[a-z_]+[a-z]\b`)
	// helped finds the metrics whose name a helper completes.
	helped = regexp.MustCompile(`counter\("([a-z_]+)"`)
)

// metricNames are the metrics that the services and pkg write.
func metricNames(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	for _, name := range goFiles(t) {
		text := string(read(t, name))
		if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "test/") || !strings.Contains(text, "prometheus.") {
			continue
		}
		for _, metric := range regexp.MustCompile(`Name:\s+"([a-z_]+)"`).FindAllStringSubmatch(text, -1) {
			known[metric[1]] = true
		}
		if strings.HasPrefix(name, "services/event-streamer/") {
			for _, metric := range helped.FindAllStringSubmatch(text, -1) {
				known["event_streamer_"+metric[1]] = true
			}
		}
	}
	if len(known) < 20 {
		t.Fatalf("only %d metrics found", len(known))
	}
	return known
}

// metricsOf returns the metrics that a query asks for: what is left of it without
// matchers, lists of labels, functions and words.
func metricsOf(query string) []string {
	query = regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(query, "")
	query = regexp.MustCompile(`\b(by|on|without|ignoring)\s*\([^)]*\)`).ReplaceAllString(query, " ")
	query = regexp.MustCompile(`\[[^\]]*\]`).ReplaceAllString(query, "")
	query = regexp.MustCompile(`\b[a-z_]+\s*\(`).ReplaceAllString(query, "(")
	var metrics []string
	for _, word := range regexp.MustCompile(`[a-z][a-z_:0-9]*`).FindAllString(query, -1) {
		if word != "and" && word != "or" && word != "unless" && !slices.Contains(metrics, word) {
			metrics = append(metrics, word)
		}
	}
	return metrics
}

// What Terraform counts in the log is what recovery-job writes there.
func TestAlerts_read_the_line_that_recovery_job_writes(t *testing.T) {
	t.Parallel()
	code := string(read(t, "services/recovery-job/internal/app/app.go"))
	text := string(read(t, alertsFile))
	message := regexp.MustCompile(`jsonPayload\.message=\\"([^"\\]+)\\"`).FindStringSubmatch(text)
	if message == nil || !strings.Contains(code, `Msg("`+message[1]+`")`) {
		t.Errorf("recovery-job writes no line %q", message)
	}
	fields := 0
	for name, filter := range rows(alerts(t), "log_metrics", "filter") {
		for _, field := range regexp.MustCompile(`jsonPayload\.([a-z_]+)`).FindAllStringSubmatch(filter, -1) {
			if fields++; !strings.Contains(code, `"`+field[1]+`", `) {
				t.Errorf("log metric %s reads field %s, which the line does not have", name, field[1])
			}
		}
	}
	if fields == 0 {
		t.Error("no log metric reads a field")
	}
	if report := string(read(t, "services/recovery-job/internal/report/report.go")); !strings.Contains(report, `FateWithheld Fate = "withheld"`) ||
		!strings.Contains(report, `Done State = "DONE"`) {
		t.Error("the values that the filters ask for are spelled otherwise in recovery-job")
	}
}
