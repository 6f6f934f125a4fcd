package lql

import (
	"encoding/json"
	"strings"
	"testing"
)

const entryJSON = `{
  "logName": "projects/p/logs/cloudaudit.googleapis.com%2Factivity",
  "resource": {"type": "k8s_container", "labels": {"namespace_name": "etl", "pod_name": "etl-42-x"}},
  "labels": {"k8s-pod/resiliency_envision_dev/job-id": "j-1", "empty": ""},
  "jsonPayload": {
    "reason": "Evicted", "count": 3, "done": true, "nothing": null, "list": ["a", "Bee"],
    "job_event": {"event_id": "e-1", "status_observed": {}},
    "items": [{"name": "one"}, {"name": "two"}]
  }
}`

func entry(t testing.TB) map[string]any {
	t.Helper()
	var e map[string]any
	if err := json.Unmarshal([]byte(entryJSON), &e); err != nil {
		t.Fatal(err)
	}
	// The exporter hands over its own maps of strings.
	e["labels"] = map[string]string{"k8s-pod/resiliency_envision_dev/job-id": "j-1", "empty": ""}
	return e
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for filter, want := range map[string]bool{
		// Comparisons.
		`resource.type="k8s_container"`:                     true,
		`resource.type=k8s_container`:                       true,
		`resource.type="K8S_Container"`:                     true,
		`resource.type="k8s"`:                               false,
		`resource.type:"K8S"`:                               true,
		`resource.type!="k8s_pod"`:                          true,
		`resource.type!="k8s_container"`:                    false,
		`resource.type =~ "^k8s_(pod|container)$"`:          true,
		`resource.type =~ "^K8S"`:                           false,
		`resource.type =~ "(?i)^K8S"`:                       true,
		`resource.type !~ "pod"`:                            true,
		`resource.labels."pod_name"="etl-42-x"`:             true,
		`resource:"etl-42"`:                                 true,
		`labels:"J-1"`:                                      true,
		`labels."k8s-pod/resiliency_envision_dev/job-id":*`: true,
		`labels."k8s-pod/resiliency.envision.dev/job-id":*`: false,
		`labels.empty:*`:                                    true,
		`labels.empty=""`:                                   true,
		// Types of JSON.
		`jsonPayload.count=3`:                true,
		`jsonPayload.count="3"`:              true,
		`jsonPayload.count!=4`:               true,
		`jsonPayload.count!="three"`:         false,
		`jsonPayload.count:3`:                true,
		`jsonPayload.done=TRUE`:              true,
		`jsonPayload.done=no`:                false,
		`jsonPayload.nothing=NULL_VALUE`:     true,
		`jsonPayload.nothing:*`:              true,
		`jsonPayload.list=bee`:               true,
		`jsonPayload.list:be`:                true,
		`jsonPayload.items.name="two"`:       true,
		`jsonPayload.items.name="three"`:     false,
		`jsonPayload.items=two`:              false,
		`jsonPayload:"two"`:                  true,
		`jsonPayload.job_event:*`:            true,
		`jsonPayload.job_event.event_id:*`:   true,
		`jsonPayload.job_event="x"`:          false,
		`jsonPayload.phase_event:*`:          false,
		`jsonPayload.reason.deeper:*`:        false,
		`jsonPayload.job_event =~ "."`:       false,
		`jsonPayload.reason=("A" OR "B")`:    false,
		`jsonPayload.reason=(a OR evicted)`:  true,
		`jsonPayload.reason:("A" OR "VICT")`: true,
		// Missing fields: inside of payloads and labels nothing holds but NOT, others have defaults.
		`jsonPayload.missing="x"`:      false,
		`jsonPayload.missing!="x"`:     false,
		`jsonPayload.missing !~ "x"`:   false,
		`NOT jsonPayload.missing="x"`:  true,
		`NOT jsonPayload.missing:*`:    true,
		`textPayload=""`:               true,
		`textPayload!="x"`:             true,
		`textPayload =~ "^$"`:          true,
		`textPayload:*`:                false,
		`severity="DEFAULT"`:           true,
		`resource.labels.missing!="x"`: false,
		// Log ids are encoded in logName and compare exactly.
		`log_id("cloudaudit.googleapis.com/activity")`: true,
		`log_id("Cloudaudit.googleapis.com/activity")`: false,
		`log_id("activity")`:                           false,
		// Boolean operators: NOT, then OR, then AND.
		`severity=DEFAULT OR severity=x AND severity=y`:         false,
		`(severity=DEFAULT OR severity=x) AND severity=y`:       false,
		`severity=DEFAULT OR (severity=x AND severity=y)`:       true,
		`severity=x OR NOT severity=y AND severity=DEFAULT`:     true,
		`NOT (severity=DEFAULT AND severity=x)`:                 true,
		`NOT severity=DEFAULT OR severity=DEFAULT`:              true,
		`NOT NOT severity=DEFAULT`:                              true,
		"severity=DEFAULT -- AND severity=x\n AND severity=x":   false,
		"-- a comment\nseverity=DEFAULT -- and another":         true,
		`jsonPayload."reason"="Evicted" AND severity="default"`: true,
		`jsonPayload.job_event.event_id="e\"\\"`:                false,
	} {
		f, err := Parse(filter)
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		if got := f.Match(entry(t)); got != want {
			t.Errorf("%s: %v, want %v", filter, got, want)
		}
	}
}

// What is not understood must not be taken for something else.
func TestParse_refuses(t *testing.T) {
	t.Parallel()
	for filter, want := range map[string]string{
		``:                                   "want a field",
		`   -- only a comment`:               "want a field",
		`"just text"`:                        "want a field",
		`severity`:                           "the end, want an operator",
		`severity "ERROR"`:                   "want an operator",
		`severity=`:                          "want a value",
		`severity=*`:                         "want a value",
		`severity=AND`:                       "want a value",
		`severity>="ERROR"`:                  `">" is not supported`,
		`severity>ERROR`:                     `">" is not supported`,
		`-severity=x`:                        `"-" is not supported`,
		`severity='x'`:                       `"'" is not supported`,
		`severity="x`:                        "not closed",
		`severity="\n"`:                      "after a backslash",
		`severity="\`:                        "after a backslash",
		`severity="x" severity="y"`:          "want AND, OR or the end",
		`severity="x" and severity="y"`:      "want AND, OR or the end",
		`severity="x" AND`:                   "want a field",
		`OR severity="x"`:                    "want a field",
		`severity="x")`:                      "want AND, OR or the end",
		`(severity="x"`:                      `want ")"`,
		`()`:                                 "want a field",
		`severity=("x" AND "y")`:             `want ")"`,
		`severity=("x" OR)`:                  "want a value",
		`severity!=("x" OR "y")`:             "want a value",
		`severity=~(x)`:                      "want a quoted regular expression",
		`severity=~"("`:                      "missing closing",
		`severity.="x"`:                      "want a field",
		`severity.."x"`:                      "want a field",
		`jsonPayload.""="x"`:                 "want a field",
		`labels.k8s-pod="x"`:                 "want a field",
		`"labels".x="y"`:                     "want a field",
		`sverity="x"`:                        `no field "sverity"`,
		`resource.lables.x="y"`:              "a resource has type and labels",
		`log_id(events)`:                     "one quoted id",
		`log_id("")`:                         "one quoted id",
		`log_id("a" OR "b")`:                 `want ")"`,
		`log_id`:                             "no field",
		`SEARCH("x")`:                        "no field",
		`severity="x" OR seve` + "\xff":      "UTF-8",
		strings.Repeat("(", 2*maxDepth):      "nested more than",
		strings.Repeat("NOT ", 2*maxDepth):   "nested more than",
		strings.Repeat(" ", maxLength) + "x": "at most 20000",
	} {
		_, err := Parse(filter)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: error %v, want %q", filter, err, want)
		}
	}
}

// No text crashes the parser; what it accepts can be applied to any entry, and
// its negation is its opposite.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`resource.type="k8s_pod" AND NOT jsonPayload.reason=("A" OR "B")`,
		`labels."a/b":* OR log_id("events") AND severity =~ "^(?i)e"`,
		"textPayload!~\"\\\\\" -- c\n", `NOT(NOT x.y:"z")`, `a=((`,
	} {
		f.Add(seed)
	}
	e := entry(f)
	f.Fuzz(func(t *testing.T, text string) {
		filter, err := Parse(text)
		if err != nil {
			return
		}
		got := filter.Match(e)
		filter.Match(nil)
		opposite, err := Parse("NOT (" + text + "\n)")
		if err == nil && opposite.Match(e) == got {
			t.Errorf("%q and its negation agree on %v", text, got)
		}
	})
}
