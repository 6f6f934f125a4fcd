package logsink

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/envision/resiliency/test/stack/logsink/lql"
)

var values = FilterValues{
	Cluster: "batch-1", Location: "us-central1", Namespaces: []string{"ml", "etl"},
	WitnessNamespace: "resiliency", WitnessContainer: "log-witness",
}

// sinkFilter is the filter that the real sink has.
func sinkFilter(t testing.TB) string {
	t.Helper()
	text, err := ReadFilter(filepath.Join("../../..", FilterFile), values)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func mustParse(t testing.TB, text string) *lql.Filter {
	t.Helper()
	filter, err := lql.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return filter
}

func TestSinkFilter_on_the_fixtures(t *testing.T) {
	t.Parallel()
	filter := mustParse(t, sinkFilter(t))
	for name, data := range fixtures(t) {
		var entry map[string]any
		if err := json.Unmarshal(data, &entry); err != nil {
			t.Fatal(err)
		}
		var typed Entry
		if err := json.Unmarshal(data, &typed); err != nil {
			t.Fatal(err)
		}
		want := !strings.HasPrefix(name, "audit_")
		if got := filter.Match(entry); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		// The sink filters its own types; they must look the same.
		if got := filter.Match(typed.fields()); got != want {
			t.Errorf("%s as Entry: %v, want %v", name, got, want)
		}
	}
}

func TestSinkFilter_on_Events(t *testing.T) {
	t.Parallel()
	filter := mustParse(t, sinkFilter(t))
	all := fixtures(t)
	change := func(name string, edit func(e *Entry, payload, object map[string]any)) *Entry {
		var entry Entry
		if err := json.Unmarshal(all[name], &entry); err != nil {
			t.Fatal(err)
		}
		edit(&entry, entry.JSONPayload, entry.JSONPayload["involvedObject"].(map[string]any))
		return &entry
	}
	for name, entry := range map[string]*Entry{
		"another namespace":     change("job_Completed", func(_ *Entry, _, o map[string]any) { o["namespace"] = "prod" }),
		"a CronJob":             change("job_Completed", func(_ *Entry, _, o map[string]any) { o["kind"] = "CronJob" }),
		"another cluster":       change("job_Completed", func(e *Entry, _, _ map[string]any) { e.Resource.Labels["cluster_name"] = "batch-2" }),
		"another location":      change("job_Completed", func(e *Entry, _, _ map[string]any) { e.Resource.Labels["location"] = "us-central1-a" }),
		"another log":           change("job_Completed", func(e *Entry, _, _ map[string]any) { e.LogName = "projects/acme-batch-prod/logs/stdout" }),
		"a pod that is fine":    change("pod_Evicted", func(_ *Entry, p, _ map[string]any) { p["reason"] = "Pulled" }),
		"a node that is up":     change("node_OOMKilling", func(_ *Entry, p, _ map[string]any) { p["reason"] = "NodeReady" }),
		"start of the exporter": place.entryOfStart(),
	} {
		if filter.Match(entry.fields()) {
			t.Errorf("%s passes", name)
		}
	}
}

func TestSinkFilter_on_lines(t *testing.T) {
	t.Parallel()
	filter := mustParse(t, sinkFilter(t))
	const event = `{"severity":"INFO","message":"job event","job_event":{"job_id":"j-1","status_observed":{"state":"JOB_STATE_RUNNING"}}}`
	witness := Container{Namespace: "resiliency", Pod: "log-witness-abc", Name: "log-witness"}
	with := func(c Container, edit func(*Container)) Container { edit(&c); return c }
	cases := map[string]struct {
		container Container
		line      string
		want      bool
	}{
		"witness, job event":        {witness, event, true},
		"witness, phase event":      {witness, `{"phase_event":{"name":"x"},"a":1}`, true},
		"witness, empty event":      {witness, `{"job_event":{}}`, true},
		"witness, other line":       {witness, `{"message":"leader elected","level":"info"}`, false},
		"witness, text":             {witness, `job_event`, false},
		"witness, event in message": {witness, `{"message":"job_event","a":{"job_event":{}}}`, false},
		"sidecar of the witness":    {with(witness, func(c *Container) { c.Name = "proxy" }), event, false},
		"witness's name elsewhere":  {with(witness, func(c *Container) { c.Namespace = "prod" }), event, false},
		"job container":             {jobContainer, event, true},
		"job container, phase":      {jobContainer, `{"phase_event":{}}`, true},
		"job container, other line": {jobContainer, `{"step":1}`, false},
		"job without a label":       {with(jobContainer, func(c *Container) { c.PodLabels = nil }), event, false},
		"job of another namespace":  {with(jobContainer, func(c *Container) { c.Namespace = "prod" }), event, false},
	}
	for name, tc := range cases {
		for _, stream := range []string{Stdout, Stderr} {
			entry := place.entryOfLine(tc.container, stream, []byte(tc.line), false, time.Now())
			if got := filter.Match(entry.fields()); got != tc.want {
				t.Errorf("%s on %s: %v, want %v", name, stream, got, tc.want)
			}
		}
	}
}

func TestRenderFilter_refuses(t *testing.T) {
	t.Parallel()
	bad := func(edit func(*FilterValues)) FilterValues { v := values; edit(&v); return v }
	for want, tc := range map[string]struct {
		template string
		values   FilterValues
	}{
		`unknown placeholders ["${project}"]`:     {`a="${project}"`, values},
		`unknown placeholders ["%{ if x }" "${"]`: {`%{ if x } ${`, values},
		`value "a\"b" of cluster`:                 {``, bad(func(v *FilterValues) { v.Cluster = `a"b` })},
		`value "" of witness_container`:           {``, bad(func(v *FilterValues) { v.WitnessContainer = "" })},
		`at least one namespace`:                  {``, bad(func(v *FilterValues) { v.Namespaces = nil })},
		`namespace "a b"`:                         {``, bad(func(v *FilterValues) { v.Namespaces = []string{"a b"} })},
	} {
		if _, err := RenderFilter(tc.template, tc.values); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	if _, err := ReadFilter(filepath.Join(t.TempDir(), "none"), values); err == nil {
		t.Error("a missing template was read")
	}
}
