package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/phases"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/test/stack"
	"github.com/envision/resiliency/test/stack/proxy"
)

const (
	// tracedJobs have records; one of them, tracedJob, has tracedPhases.
	tracedJobs, tracedPhases = 100_000, 500
	tracedJob                = "traced-77777"
	// searchedJobs are in the store when the searches are counted: a document that
	// is returned is a read at any size, and the emulator, which has no indexes,
	// takes a minute for each search over all of tracedJobs.
	searchedJobs = phases.MaxCommit * writersAtOnce
	// searchPage is a page of the search.
	searchPage = 50
)

// tracer is a running phase-tracer.
type tracer struct {
	url, admin string
	client     *http.Client
}

func startTracer(ctx context.Context, p *stack.Project, bin string) (*tracer, error) {
	process, err := p.StartService(ctx, stack.ServiceSpec{
		Name: "phase-tracer", Binary: filepath.Join(bin, "phase-tracer"), ListenEnv: "HTTP_ADDR",
		Env: []string{"HTTP_RATE=100000", "HTTP_BURST=100000"},
	})
	if err != nil {
		return nil, err
	}
	return &tracer{url: process.URL(), admin: process.AdminURL(), client: &http.Client{}}, nil
}

func (t *tracer) get(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := t.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: status %d: %s", url, response.StatusCode, body)
	}
	return body, err
}

// stored is how many phases it has stored by its own count: only when all are is
// the flow's round over, so a wrong count would hang and not flatter.
func (t *tracer) stored(ctx context.Context) (int, error) {
	body, err := t.get(ctx, t.admin+"/metrics")
	if err != nil {
		return 0, err
	}
	total := 0.0
	for line := range strings.Lines(string(body)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.HasPrefix(name, "phase_tracer_messages_total{") && strings.Contains(name, `outcome="stored"`) &&
			strings.Contains(name, `what="phase"`) {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return 0, fmt.Errorf("read metric %s: %w", name, err)
			}
			total += n
		}
	}
	return int(total), nil
}

func (t *tracer) awaitStored(ctx context.Context, want int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		n, err := t.stored(ctx)
		if err != nil {
			return err
		}
		if n >= want {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d phases were stored: %w", n, want, ctx.Err())
		}
	}
}

// measureTimelines takes how long the page of a job with 500 phases takes, and how
// many documents a page of the search reads, at 100,000 jobs.
func measureTimelines(ctx context.Context, s *stack.Stack, o Options, r *Report) (err error) {
	fmt.Fprintf(o.Out, "storing %d jobs for the search, and %d for timelines (about 1 min)\n", searchedJobs, tracedJobs)
	p, err := s.NewProject(ctx, "timelines")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close(ctx)) }()
	client, err := p.Firestore(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	if err := fillTraced(ctx, client, 0, searchedJobs); err != nil {
		return err
	}
	service, err := startTracer(ctx, p, o.BinDir)
	if err != nil {
		return err
	}
	defer service.client.CloseIdleConnections()
	worst, err := service.searchReads(ctx, s, p, o.Out)
	if err != nil {
		return err
	}
	r.add("search_reads_per_page", "documents", worst)
	if err := errors.Join(fillTraced(ctx, client, searchedJobs, tracedJobs), fillPhases(ctx, client)); err != nil {
		return err
	}
	took, bare, err := medianTimes(
		func() error { return service.page(ctx) },
		func() error { return readPhases(ctx, client) })
	if err != nil {
		return err
	}
	r.addRatio("timeline_500_phases_ms", "ms", took, bare)
	return nil
}

// medianTimes are the median times in milliseconds of 30 calls each, made in turns,
// after 30 for warming up: the emulator takes that many until it is as fast as it gets.
func medianTimes(a, b func() error) (msA, msB float64, err error) {
	const warm, counted = 30, 30
	times := [2][]float64{}
	for n := range warm + counted {
		for i, call := range []func() error{a, b} {
			begun := time.Now()
			if err := call(); err != nil {
				return 0, 0, err
			}
			if n >= warm {
				times[i] = append(times[i], time.Since(begun).Seconds()*1000)
			}
		}
	}
	for i := range times {
		slices.Sort(times[i])
	}
	return times[0][counted/2], times[1][counted/2], nil
}

// page gets the page of the job with many phases.
func (t *tracer) page(ctx context.Context) error {
	body, err := t.get(ctx, t.url+"/jobs/"+tracedJob)
	if err == nil && !strings.Contains(string(body), "step-"+strconv.Itoa(tracedPhases/2-1)) {
		err = errors.New("the page does not show the last phase")
	}
	return err
}

// readPhases reads the documents that the page is made of, and nothing more.
func readPhases(ctx context.Context, client *firestore.Client) error {
	docs, err := client.Collection(jobstore.CollectionPhases(tracedJob)).
		OrderBy(jobstore.PhaseFieldOccurredAt, firestore.Desc).Documents(ctx).GetAll()
	if err == nil && len(docs) != tracedPhases {
		err = fmt.Errorf("%d phases, want %d", len(docs), tracedPhases)
	}
	return err
}

// searchReads is the most that a page of the search reads, over filters that choose
// all, many and few.
func (t *tracer) searchReads(ctx context.Context, s *stack.Stack, p *stack.Project, out io.Writer) (worst float64, err error) {
	for _, filter := range []string{
		"", "state=FAILED", "state=FAILED&owner=owner-3&stage=kubernetes", "tenant=t-1", "cause=OOM&tenant=t-2", "prefix=traced-3",
	} {
		s.Firestore.ResetCounts(p.ID)
		body, err := t.get(ctx, t.url+"/api/jobs?limit="+strconv.Itoa(searchPage)+"&"+filter)
		if err != nil {
			return 0, err
		}
		var page struct {
			Jobs []json.RawMessage `json:"jobs"`
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return 0, fmt.Errorf("decode a page of jobs: %w", err)
		}
		if len(page.Jobs) != searchPage {
			return 0, fmt.Errorf("filter %q chooses %d jobs, so it measures nothing", filter, len(page.Jobs))
		}
		reads := float64(proxy.Total(s.Firestore.Counts(p.ID).Reads))
		fmt.Fprintf(out, "  %-45s %d rows, %.0f reads\n", filter, len(page.Jobs), reads)
		worst = max(worst, reads)
	}
	return worst, nil
}

// fillTraced writes the records numbered from to less than to, as jobstore does.
func fillTraced(ctx context.Context, client *firestore.Client, from, to int) error {
	steps := (to - from) / phases.MaxCommit / writersAtOnce
	states := []job.State{job.StateRunning, job.StateFailed, job.StateSucceeded}
	now := time.Now().UTC().Truncate(job.Precision)
	err := spread(ctx, writersAtOnce, steps, func(ctx context.Context, worker, step int) error {
		batch := client.Batch() //nolint:staticcheck // see commitBare
		for i := range phases.MaxCommit {
			n := from + (worker*steps+step)*phases.MaxCommit + i
			id := fmt.Sprintf("traced-%d", n)
			record := job.Of(&job.Observation{
				JobID: id, Attempt: 1, Stage: job.StageKubernetes, Ordinal: job.OrdinalKubernetes, Kind: job.KindStatus, OccurredAt: now,
				State: states[n%3], Evidence: job.EvidenceCondition, Cause: job.CauseDetail{Cause: job.CauseOOM},
				Owner: fmt.Sprintf("owner-%d", n%7), Tenant: fmt.Sprintf("t-%d", n%5),
			})
			at := now.Add(-time.Duration(n) * time.Second)
			batch.Set(client.Collection("jobs").Doc(id), jobstore.Fields(&record, &jobstore.Meta{
				Revision: 1, UpdatedAt: at, CheckAfter: at, Shard: jobstore.ShardOf(id, jobstore.DefaultShards),
			}))
		}
		_, err := batch.Commit(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("fill the store: %w", err)
	}
	return nil
}

// fillPhases writes the phases of tracedJob.
func fillPhases(ctx context.Context, client *firestore.Client) error {
	now := time.Now().UTC().Truncate(job.Precision)
	docs := make([]*phases.Document, tracedPhases)
	for n := range docs {
		e := somePhase(0, n)
		e.JobId, e.Name, e.OccurredAt = tracedJob, fmt.Sprintf("step-%d", n/2), timestamppb.New(now.Add(time.Duration(n)*time.Second-time.Hour))
		if n%2 == 1 {
			e.Event = &resiliencyv1.PhaseEvent_Ended{Ended: &resiliencyv1.PhaseEnded{Outcome: resiliencyv1.PhaseOutcome_PHASE_OUTCOME_SUCCEEDED}}
		}
		d, err := phases.OfPhase(e, phases.Told{ReceivedAt: now, ExpireAt: now.Add(time.Hour)})
		if err != nil {
			return err
		}
		docs[n] = d
	}
	return phases.New(client, time.Minute, nil).Commit(ctx, docs)
}
