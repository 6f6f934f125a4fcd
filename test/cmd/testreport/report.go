package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// integration begins the names of the runs that must not be empty.
const integration = "integration"

// serverMark begins the line by which the integration tests tell what they ran
// against.
const serverMark = "API server version: "

// event is one line of `go test -json`.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	// Key and Value are those of t.Attr.
	Key, Value string
}

// run is what one file tells.
type run struct {
	name                    string
	top                     int // tests that ran, without their subtests
	passed, failed, skipped int
	// server is the version of the API server that the tests ran against.
	server string
	// broken packages failed outside any test: they did not build, or their
	// TestMain gave up.
	broken []string
	// figures are what tests found out, told by t.Attr: a passing test's log is
	// not shown.
	figures []string
}

// readFolder reads all runs, by name.
func readFolder(dir string) ([]run, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s holds no test run: run make test first", dir)
	}
	slices.Sort(files)
	runs := make([]run, 0, len(files))
	for _, name := range files {
		r, err := readFile(name)
		if err != nil {
			return nil, err
		}
		runs = append(runs, r)
	}
	return runs, nil
}

func readFile(name string) (run, error) {
	f, err := os.Open(name)
	if err != nil {
		return run{}, fmt.Errorf("read test run: %w", err)
	}
	defer func() { _ = f.Close() }()
	r, err := read(f)
	if err != nil {
		return run{}, fmt.Errorf("read %s: %w", name, err)
	}
	r.name = strings.TrimSuffix(filepath.Base(name), ".json")
	return r, nil
}

// read counts the tests of one `go test -json` stream.
func read(in io.Reader) (run, error) {
	var r run
	failedIn := map[string]bool{}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if err := json.Unmarshal(line, &e); err != nil {
				return r, fmt.Errorf("line is no test event: %w", err)
			}
			r.add(e, failedIn)
		}
		if errors.Is(err, io.EOF) {
			return r, nil
		}
		if err != nil {
			return r, fmt.Errorf("read test events: %w", err)
		}
	}
}

func (r *run) add(e event, failedIn map[string]bool) {
	if _, version, ok := strings.Cut(e.Output, serverMark); ok && r.server == "" {
		r.server = strings.TrimSpace(version)
	}
	if e.Test == "" {
		if e.Action == "fail" && !failedIn[e.Package] {
			r.broken = append(r.broken, e.Package)
		}
		return
	}
	switch e.Action {
	case "pass":
		r.passed++
	case "fail":
		r.failed++
		failedIn[e.Package] = true
	case "skip":
		r.skipped++
		return
	case "attr":
		r.figures = append(r.figures, fmt.Sprintf("%s: %s %s", e.Test, e.Key, e.Value))
		return
	default:
		return
	}
	if !strings.Contains(e.Test, "/") {
		r.top++
	}
}

// report prints one line per run and the sum, and tells whether all is well.
func report(out io.Writer, runs []run) bool {
	var sum, all run
	complaints := []string{}
	seen := false
	width := 0
	for _, r := range runs {
		width = max(width, len(r.name))
	}
	for _, r := range runs {
		_, _ = fmt.Fprintf(out, "  %-*s  %4d tests, with subtests %4d passed, %d failed, %d skipped\n",
			width, r.name, r.top, r.passed, r.failed, r.skipped)
		for _, f := range r.figures {
			_, _ = fmt.Fprintln(out, "    "+f)
		}
		for _, p := range r.broken {
			complaints = append(complaints, p+" failed outside its tests")
		}
		if strings.HasPrefix(r.name, integration) {
			seen = true
			all.top += r.top
			all.server = cmp.Or(all.server, r.server)
		}
		sum.passed += r.passed
		sum.failed += r.failed + len(r.broken)
		sum.skipped += r.skipped
	}
	if seen {
		complaints = append(complaints, all.integrationComplaints(out)...)
	} else {
		complaints = append(complaints, "the integration tests did not run")
	}
	for _, c := range complaints {
		_, _ = fmt.Fprintln(out, "  "+c)
	}
	_, _ = fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", sum.passed, sum.failed, sum.skipped)
	return sum.failed == 0 && len(complaints) == 0
}

// integrationComplaints tells what the run was made against, and what is amiss.
func (r *run) integrationComplaints(out io.Writer) []string {
	var complaints []string
	if r.top == 0 {
		complaints = append(complaints, "no integration test ran")
	}
	if r.server == "" {
		complaints = append(complaints, "the integration tests did not say which API server they ran against")
	} else {
		_, _ = fmt.Fprintf(out, "  %d integration tests ran; %s%s\n", r.top, serverMark, r.server)
	}
	return complaints
}
