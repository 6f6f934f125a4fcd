package rules

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/envision/resiliency/pkg/job"
)

const whole = `version: 1
defaults: false
rules:
  - name: gpu
    match:
      stage: [train-*, kubernetes]
      state: [RUNNING, PENDING]
      labels:
        tenant: vision
        owner: ["team-*", ada@mail.example]
    silent_for: 45m
    do: resume
    resume: {times: 3, not_after: 10m}
    hard_limit: 36h
    running_limit: 48h
    ending_grace: 5m
    output: {expect: any, marker: done/_OK, settle: 30s}
    tell:
      user: "{{{job_id}}} is {verdict}"
      developers: see {rule}
  - name: rest
    silent_for: 2h
    do: investigate
`

func TestParse_whole(t *testing.T) {
	t.Parallel()
	set, err := Parse("rules.yaml", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	want := []Rule{{
		Name: "gpu",
		Match: Match{
			Stages: []string{"train-*", "kubernetes"}, States: []job.State{job.StateRunning, job.StatePending},
			Labels: map[string][]string{LabelTenant: {"vision"}, LabelOwner: {"team-*", "ada@mail.example"}},
		},
		SilentFor: 45 * time.Minute, Do: DoResume, Resume: Resume{Times: 3, NotAfter: 10 * time.Minute},
		HardLimit: 36 * time.Hour, RunningLimit: 48 * time.Hour, EndingGrace: 5 * time.Minute,
		Output: Output{Expect: ExpectAny, Marker: "done/_OK", Settle: 30 * time.Second}, Line: 4,
	}, {
		Name: "rest", SilentFor: 2 * time.Hour, Do: DoInvestigate, EndingGrace: defaultEndingGrace,
		Output: Output{Expect: ExpectMarker, Marker: DefaultMarker, Settle: defaultSettle}, Line: 21,
	}}
	if diff := cmp.Diff(want, set.Rules, cmpopts.IgnoreTypes(Text{})); diff != "" {
		t.Error(diff)
	}
	if len(set.Warnings) > 0 {
		t.Errorf("warnings %v, want none", set.Warnings)
	}
	text := set.Rules[0].User.Fill(map[string]string{"job_id": "j-1"})
	if text != "{j-1} is -" {
		t.Errorf("text %q", text)
	}
}

func TestParse_builtInRulesFollow(t *testing.T) {
	t.Parallel()
	set, err := Parse("f", []byte("version: 1\nrules:\n- {name: thumbnails, match: {stage: thumbnails}, silent_for: 5m, do: delay}\n"+
		"- {name: backend, match: {stage: backend}, silent_for: 1m, do: investigate}\n"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range set.Rules {
		names = append(names, r.Name)
	}
	want := []string{"thumbnails", "backend", "face-detection", "kubernetes", "other-stages"}
	if diff := cmp.Diff(want, names); diff != "" || set.Rules[1].Do != DoInvestigate || len(set.Warnings) != 0 {
		t.Errorf("%s; %v; %v", diff, set.Rules[1].Do, set.Warnings)
	}
	if _, err := Parse("f", []byte("version: 1\nrules: []\n")); err != nil {
		t.Errorf("a file without rules of its own: %v", err)
	}
}

// rule makes a file of one rule with lines added to what every rule needs.
func rule(lines ...string) string {
	return "version: 1\ndefaults: false\nrules:\n  - name: r\n    silent_for: 10m\n    " + strings.Join(lines, "\n    ") + "\n"
}

func TestParse_wrong(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, file string
		want       []string
	}{
		{"empty", "", []string{"line 1, column 1: the file is empty"}},
		{"only_a_comment", "# nothing\n", []string{"line 1, column 1: the file is empty"}},
		{"no_yaml", "rules: [\n", []string{"this is not YAML"}},
		{"tab", "version: 1\nrules:\n\t- x\n", []string{"line 3, column 1: this is not YAML"}},
		{"two_documents", "version: 1\nrules: []\n---\nx: 1\n", []string{"a second document begins here"}},
		{"a_list", "- 1\n", []string{"line 1, column 1: this must be a mapping"}},
		{"nothing_of_it", "{}\n", []string{"version is missing", "rules is missing"}},
		{"next_version", "version: 2\nrules: []\n", []string{"line 1, column 10: version: this release reads version 1 only"}},
		{"no_rules_at_all", "version: 1\ndefaults: false\nrules: []\n", []string{"there are no rules"}},
		{"neither_true_nor_false", "version: 1\ndefaults: maybe\nrules: []\n", []string{`defaults: "maybe" is neither`}},
		{"reference", "version: 1\nrules: &a\n- &b {name: r, silent_for: 1m, do: investigate}\n- *b\n", []string{"line 4, column 3: rules[1]: references (*b) are not read"}},
		{"key_twice", "version: 1\nversion: 1\nrules: []\n", []string{"line 2, column 1: version: the key is given twice"}},
		{"everything_at_once", `version: 1
rules:
  - name: "no blanks"
    silent_for: 5
    do: explode
    unknown: 1
  - match:
      state: [SUCCEEDED, ASLEEP]
      labels: {team: x}
      stage: []
    resume: {times: -1}
`, []string{
			`line 3, column 11: rules[0].name: "no blanks" cannot be the name of a rule`,
			`line 4, column 17: rules[0].silent_for: "5" is not a time`,
			`line 5, column 9: rules[0].do: "explode" is not known; it must be one of investigate, resume, fail, delay`,
			`line 6, column 5: rules[0].unknown: there is no such key; known are name, match`,
			`line 7, column 5: rules[1]: name is missing`, `rules[1]: silent_for is missing`, `rules[1]: do is missing`,
			`line 8, column 15: rules[1].match.state[0]: a job that is SUCCEEDED is over`,
			`line 8, column 26: rules[1].match.state[1]: "ASLEEP" is no state`,
			`line 9, column 16: rules[1].match.labels.team: there is no such key; known are cluster, job-id, namespace, owner, tenant`,
			`line 10, column 14: rules[1].match.stage: the list is empty`,
			`line 11, column 13: rules[1].resume: not_after is missing`,
			`line 11, column 21: rules[1].resume.times: "-1" is not a whole number from 0 to 99`,
		}},
		{"name_twice", "version: 1\nrules:\n- {name: r, silent_for: 1m, do: investigate}\n- {name: r, silent_for: 1m, do: investigate}\n",
			[]string{`line 4, column 10: rules[1].name: "r" is the name of the rule in line 3 already`}},
		{"resume_without_how", rule("do: resume", "hard_limit: 1h"), []string{`rules[0].do: "resume" needs the key resume`}},
		{"resume_never", rule("do: resume", "hard_limit: 1h", "resume: {times: 0, not_after: 1m}"), []string{`resume 0 times is not to resume; write "do: fail"`}},
		{"resume_beside_fail", rule("do: fail", "hard_limit: 1h", "resume: {times: 1, not_after: 1m}"), []string{`this has no meaning with "do: fail"`}},
		{"fail_without_limit", rule("do: fail"), []string{"hard_limit is missing"}},
		{"limit_before_silence", rule("do: fail", "hard_limit: 10m"), []string{"hard_limit: 10m0s is not longer than silent_for, which is 10m0s"}},
		{"running_before_silence", rule("do: investigate", "running_limit: 1m"), []string{"running_limit: 1m0s is shorter than silent_for"}},
		{"marker_without_looking", rule("do: investigate", "output: {expect: none, marker: x, settle: 1m}"),
			[]string{`output.marker: this has no meaning with "expect: none"`, `output.settle: this has no meaning`}},
		{"marker_no_object", rule("do: investigate", "output: {marker: a//b}"), []string{`"a//b" cannot be the name`}},
		{"empty_value", rule("do:"), []string{"rules[0].do: the value is missing"}},
		{"list_for_a_word", rule("do: [fail]"), []string{"rules[0].do: this must be a text"}},
		{"word_for_a_list", "version: 1\nrules: all\n", []string{"rules: this must be a list"}},
		{"unknown_field", rule("do: investigate", "tell:", `  user: "job {job}"`),
			[]string{"line 8, column 18: rules[0].tell.user: {job} is no field; there are {job_id}"}},
		{"unknown_field_in_a_block", rule("do: investigate", "tell:", "  user: |", "    one", "    two {x}"), []string{"line 10, column 1"}},
		{"open_brace", rule("do: investigate", "tell: {developers: 'a { b'}"), []string{`write "{{" for the brace itself`}},
		{"close_brace", rule("do: investigate", "tell: {developers: 'a } b'}"), []string{`write "}}" for the brace itself`}},
		{"long_text", rule("do: investigate", "tell: {user: "+strings.Repeat("x", 1025)+"}"), []string{"the text has 1025 bytes"}},
		{"no_labels", rule("do: investigate", "match: {labels: {}}"), []string{"there are no labels"}},
		{"blank_in_pattern", rule("do: investigate", "match: {stage: 'a b'}"), []string{`"a b" is not a pattern`}},
		{"too_large", strings.Repeat("#", maxFile+1), []string{"a rule file has at most 1048576"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("rules.yaml", []byte(c.file))
			file, ok := errors.AsType[*FileError](err)
			if !ok || len(file.Problems) != len(c.want) {
				t.Fatalf("got\n%v\nwant %d problems", err, len(c.want))
			}
			for i, line := range strings.Split(err.Error(), "\n") {
				if !strings.HasPrefix(line, "rules.yaml: line ") || !strings.Contains(line, c.want[i]) {
					t.Errorf("problem %d is\n%s\nwant\n%s", i, line, c.want[i])
				}
			}
		})
	}
}

func TestParse_warnings(t *testing.T) {
	t.Parallel()
	head := "version: 1\ndefaults: false\nrules:\n"
	one := func(name, match string) string {
		return "- {name: " + name + ", match: {" + match + "}, silent_for: 1m, do: investigate}\n"
	}
	cases := []struct {
		name, rules string
		want        []string
	}{
		{"narrow_before_wide", one("a", "stage: x") + one("b", ""), nil},
		{"wide_before_narrow", one("a", "") + one("b", "stage: x"), []string{`line 5, column 1: b: this rule can never match: "a" above it`}},
		{"pattern_before_pattern", one("a", "stage: tr*") + one("b", "stage: train-*") + one("c", ""), []string{`b: this rule can never match`}},
		{"two_together", one("a", "state: [RUNNING, PENDING]") + one("b", "state: SUSPENDED") + one("c", "stage: x"),
			[]string{`c: this rule can never match: "a" and others`}},
		{"some_states_left", one("a", "state: RUNNING") + one("b", "stage: x") + one("c", ""), nil},
		{"labels_narrow", one("a", "labels: {owner: team-*}") + one("b", "") + one("c", "labels: {owner: team-a}"), []string{`c: this rule`}},
		{"labels_differ", one("a", "labels: {owner: team-*}") + one("b", "labels: {tenant: team-a}") + one("c", ""), nil},
		{"nothing_for_the_rest", one("a", "stage: x"), []string{"rules: no rule is for all jobs"}},
		{"limit_before_resume_expires", "- {name: a, silent_for: 10m, do: resume, resume: {times: 1, not_after: 10m}, hard_limit: 15m}\n",
			[]string{"rules[0].hard_limit: 15m0s is over before the first resume has expired"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			set, err := Parse("f", []byte(head+c.rules))
			if err != nil {
				t.Fatal(err)
			}
			if len(set.Warnings) != len(c.want) {
				t.Fatalf("warnings %v, want %v", set.Warnings, c.want)
			}
			for i, w := range set.Warnings {
				if !strings.Contains(w.String(), c.want[i]) {
					t.Errorf("warning %q, want %q", w, c.want[i])
				}
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	set, err := Parse("defaults.yaml", DefaultsFile())
	if err != nil || len(set.Warnings) > 0 {
		t.Fatalf("%v, %v", err, set)
	}
	for _, stage := range []string{job.StageBackend, job.StageFaceDetection, job.StageKubernetes, "thumbnails", ""} {
		for _, state := range Active() {
			if f := set.Find(&Subject{Stage: stage, State: state}); f.Rule == nil {
				t.Errorf("no rule for stage %q in state %s", stage, state)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add(DefaultsFile())
	f.Add([]byte("version: 1\nrules: [{name: &a x, match: {stage: [*a]}, do: {}, tell: {user: '{'}}]"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := Parse("f", data)
		if err != nil {
			if file, ok := errors.AsType[*FileError](err); !ok || len(file.Problems) == 0 {
				t.Fatalf("error %v names no place", err)
			}
			return
		}
		for i := range set.Rules {
			r := &set.Rules[i]
			if r.SilentFor < minDuration || r.Name == "" || r.Do == DoResume && r.Resume.Times == 0 ||
				r.HardLimit != 0 && r.HardLimit <= r.SilentFor {
				t.Errorf("rule %+v was let through", r)
			}
			set.Find(&Subject{Stage: "backend", State: job.StateRunning})
		}
	})
}
