package rules

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// Version is that of the file's form.
const Version = 1

// Limits of a file. A larger one is a mistake, and none may take the process's
// memory.
const (
	maxFile  = 1 << 20
	maxRules = 500
)

// Parse reads a rule file; name is what errors call it. The built-in rules follow
// those of the file unless it says "defaults: false"; one of them whose name the
// file uses is left out. The error is a *FileError with everything that is wrong.
func Parse(name string, data []byte) (*Set, error) {
	set, builtIn, err := parse(name, data)
	if err != nil {
		return nil, err
	}
	if builtIn {
		defaults, err := Defaults()
		if err != nil {
			return nil, err
		}
		set.Rules = append(set.Rules, withoutNames(defaults.Rules, set.Rules)...)
	}
	set.Warnings = append(set.Warnings, unreachable(set.Rules)...)
	if !catchesAll(set.Rules) {
		set.Warnings = append(set.Warnings, Problem{
			Line: 1, Column: 1, Key: keyRules,
			Message: "no rule is for all jobs: one that none describes is left alone, and only told about",
		})
	}
	sortProblems(set.Warnings)
	return set, nil
}

// parse reads one file as it is; the second result says that the built-in rules
// are wanted behind its own.
func parse(name string, data []byte) (*Set, bool, error) {
	root, problem := document(data)
	if problem != nil {
		return nil, false, &FileError{File: name, Problems: []Problem{*problem}}
	}
	r := &reader{}
	rules, builtIn := r.file(value{node: root})
	if len(r.problems) > 0 {
		sortProblems(r.problems)
		return nil, false, &FileError{File: name, Problems: r.problems}
	}
	return &Set{Rules: rules, Warnings: r.warnings}, builtIn, nil
}

// document reads the YAML itself and returns the one document's content.
func document(data []byte) (*yaml.Node, *Problem) {
	if len(data) > maxFile {
		return nil, &Problem{Line: 1, Column: 1, Message: fmt.Sprintf("the file has %d bytes; a rule file has at most %d", len(data), maxFile)}
	}
	var doc, more yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, &Problem{Line: 1, Column: 1, Message: "the file is empty"}
	} else if err != nil {
		return nil, syntax(err)
	}
	if err := decoder.Decode(&more); err == nil {
		return nil, &Problem{Line: more.Line, Column: more.Column, Message: "a second document begins here; a rule file has one"}
	} else if !errors.Is(err, io.EOF) {
		return nil, syntax(err)
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, &Problem{Line: 1, Column: 1, Message: "the file is empty"}
	}
	return doc.Content[0], nil
}

var syntaxLine = regexp.MustCompile(`line (\d+): (.*)`)

// syntax reads the library's message, which is the only place where it tells the line.
func syntax(err error) *Problem {
	p := &Problem{Line: 1, Column: 1, Message: "this is not YAML: " + err.Error()}
	if m := syntaxLine.FindStringSubmatch(err.Error()); m != nil {
		if line, err := strconv.Atoi(m[1]); err == nil {
			p.Line, p.Message = max(line, 1), "this is not YAML: "+m[2]
		}
	}
	return p
}

// Keys at the top of the file.
const (
	keyVersion  = "version"
	keyDefaults = "defaults"
	keyRules    = "rules"
)

// file reads the whole.
func (r *reader) file(v value) ([]Rule, bool) {
	keys := r.mapping(v, keyVersion, keyDefaults, keyRules)
	if keys == nil {
		return nil, false
	}
	if version, ok := keys[keyVersion]; !ok {
		r.wrongf(v, "%s is missing; write \"%s: %d\"", keyVersion, keyVersion, Version)
	} else if n, ok := r.integer(version, 0, 1<<31-1); ok && n != Version {
		r.wrongf(version, "this release reads version %d only", Version)
	}
	builtIn := true
	if d, ok := keys[keyDefaults]; ok {
		builtIn = r.boolean(d)
	}
	own := r.rules(v, keys)
	if !builtIn && len(own) == 0 && len(r.problems) == 0 {
		r.wrongf(v, "there are no rules, and \"%s: false\" leaves out the built-in ones", keyDefaults)
	}
	return own, builtIn
}

func (r *reader) rules(v value, keys map[string]value) []Rule {
	list, ok := keys[keyRules]
	if !ok {
		r.wrongf(v, "%s is missing", keyRules)
		return nil
	}
	items, ok := r.sequence(list)
	if !ok {
		return nil
	}
	if len(items) > maxRules {
		r.wrongf(list, "there are %d rules; a file has at most %d", len(items), maxRules)
		return nil
	}
	rules := make([]Rule, 0, len(items))
	lines := map[string]int{}
	for _, item := range items {
		rule, ok := r.rule(item)
		if first, twice := lines[rule.Name]; twice && rule.Name != "" {
			r.wrongf(item.at(keyName), "%q is the name of the rule in line %d already", rule.Name, first)
		}
		lines[rule.Name] = item.node.Line
		if ok {
			rules = append(rules, rule)
		}
	}
	return rules
}
