package jobs_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/envision/resiliency/pkg/jobs"
)

// A service that takes a request and begins to work on it.
func Example() {
	ctx := context.Background()
	client, err := jobs.FromEnvironment(ctx) // RESILIENCY_PROJECT_ID; without it nothing happens
	if err != nil {
		fmt.Fprintln(os.Stderr, "jobs are not reported:", err) // a nil client does nothing
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = client.Close(ctx) // flushes
	}()

	job, err := client.Create(ctx, jobs.Spec{ID: "job-17", CorrelationID: "request-1", Owner: "you"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err) // not on record: refuse the request, or call again
		return
	}
	job.Enter(ctx, jobs.Backend())

	phase := job.Phase(ctx, "validate")
	for frame := range 100 {
		phase.Progress(float64(frame+1), 100, "frames")
	}
	phase.End()

	job.Done(ctx) // the next stage goes on: pass job.Ref() to it, and client.Join(ctx, ref) there
	// Output:
}

// What a developer copies from the page is what is compiled and run here.
func TestDocs_TheSnippetIsTheExample(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/sdk.md")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "func main() {\n")
	snippet, _, found := strings.Cut(rest, "\n}\n```")
	if !found || !strings.Contains(string(example), "func Example() {\n"+snippet+"\n\t// Output:\n}") {
		t.Errorf("docs/sdk.md does not show the example, but:\n%s", snippet)
	}
}
