package rules

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/promql"
	"github.com/zclconf/go-cty/cty"
)

// What alerts are asked about: a sample a minute for 170 minutes, the faults within the
// last 45 of them. A series has its values in the notation of Prometheus' own tests:
// 3x9 is ten times 3, 0+7x9 counts up by 7, and _x9 is nine times nothing.
const (
	calm     = 125 * time.Minute
	atEnd    = 170 * time.Minute
	interval = time.Minute
)

type series map[string]string

// healthy is a system in which nobody need do anything, though not all is quiet.
func healthy() series {
	s := series{
		// A replica may well hear nothing of a source: they share the work.
		`status_updater_source_silent{cluster="main",pod="u1",source="event_streamer"}`: "0x170",
		`status_updater_source_silent{cluster="main",pod="u2",source="event_streamer"}`: "1x170",
		`status_updater_source_silent{cluster="main",pod="u1",source="log_witness"}`:    "1x170",
		`status_updater_source_silent{cluster="main",pod="u2",source="log_witness"}`:    "0x170",
		letterCount("new"):      "0x170",
		letterCount("reopened"): "0x170",
		letterCount("repeat"):   "0+1x170",
		`resiliency_outbox_oldest_seconds{cluster="main",pod="u1"}`: "45x170",
		`resiliency_notify_oldest_seconds{cluster="main",pod="d1"}`: "30x170",
		`resiliency_notify_denied{cluster="main",pod="d1"}`:         "0x170",
		backlog("job-events-status-updater"):                        "12x170",
		backlog("job-phases-phase-tracer"):                          "3x170",
		backlog("job-updates-product"):                              "90000x170", // not ours to wake anybody for
		backlog("dead-letters-dlq-handler"):                         "20x170",
	}
	for _, c := range clusters() {
		for _, name := range []string{"event-streamer", "event-streamer-witness"} {
			s[watcher("leader", c, name, 1)], s[watcher("leader", c, name, 2)] = "1x170", "0x170"
			s[watcher("pending_facts", c, name, 1)], s[watcher("pending_facts", c, name, 2)] = "3x170", "9x170"
			s[watcher("events_published_total", c, name, 1)], s[watcher("events_published_total", c, name, 2)] = "0+7x170", "0x170"
			s[breaker(c, name)] = "0x170"
		}
		s[droppedCapsules(c)] = "2x170"
		s[recovery("runs", c)] = "0x59 1x59 2x50"
		s[recovery("withheld", c)] = "1x170"
		// One run that left something is no reason to get up, nor was one of long ago.
		s[recovery("unsettled", c)], s[recovery("cut", c)] = "3x69 4x100", "1x69 2x100"
	}
	return s
}

func watcher(metric, cluster, container string, replica int) string {
	return fmt.Sprintf(`event_streamer_%s{cluster=%q,container=%q,pod="%s-%d"}`, metric, cluster, container, container, replica)
}

func breaker(cluster, container string) string {
	return fmt.Sprintf(`resiliency_breaker_state{cluster=%q,container=%q,name="job-events",pod="%s-1"}`, cluster, container, container)
}

func droppedCapsules(cluster string) string {
	return fmt.Sprintf(`event_streamer_capsules_total{cluster=%q,pod="event-streamer-1",result="dropped"}`, cluster)
}

func letterCount(outcome string) string {
	return fmt.Sprintf(`dlq_handler_letters_total{cluster="main",pod="d1",subscription="job-events-status-updater",category="permanent",outcome=%q}`, outcome)
}

func backlog(subscription string) string {
	return fmt.Sprintf(`pubsub_googleapis_com:subscription_oldest_unacked_message_age{monitored_resource="pubsub_subscription",subscription_id=%q}`,
		subscription)
}

func recovery(metric, cluster string) string {
	return fmt.Sprintf(`logging_googleapis_com:user_recovery_%s{monitored_resource="k8s_container",cluster_name=%q}`, metric, cluster)
}

// fault is a change to what is healthy and the one alert that tells of it. A series
// that changes to "" is not there at all.
type fault struct {
	alert, what string
	change      series
}

func faults() []fault {
	const gone = "1x130 _x39"
	return []fault{
		{"StreamerNobodyPublishes", "all pods of the publisher are gone, the witness's are there", series{
			watcher("leader", "main", "event-streamer", 1): gone, watcher("leader", "main", "event-streamer", 2): gone,
		}},
		{"StreamerNobodyPublishes", "all pods of the witness are gone", series{
			watcher("leader", "second", "event-streamer-witness", 1): gone, watcher("leader", "second", "event-streamer-witness", 2): gone,
		}},
		{"StreamerNobodyPublishes", "nobody was ever seen in one of the clusters", series{
			watcher("leader", "second", "event-streamer", 1): "", watcher("leader", "second", "event-streamer", 2): "",
		}},
		{"StreamerNobodyPublishes", "both of a cluster stand by", series{watcher("leader", "second", "event-streamer", 1): "1x130 0x39"}},
		{"StreamerNoProgress", "facts wait and none is published", series{
			watcher("events_published_total", "main", "event-streamer", 1): "0+7x130 910x39",
		}},
		{"StreamerNoProgress", "nothing was ever published", series{watcher("events_published_total", "second", "event-streamer-witness", 1): ""}},
		{"CapsulesDropped", "a capsule is dropped", series{droppedCapsules("second"): "2x150 3x19"}},
		{"BreakerOpen", "a breaker is open, and half open now and then", series{breaker("second", "event-streamer"): "0x140 2x4 1x1 2x22"}},
		{"SourceSilent", "no replica hears a source", series{
			`status_updater_source_silent{cluster="main",pod="u1",source="event_streamer"}`: "0x130 1x39",
		}},
		{"OutboxOld", "updates wait", series{`resiliency_outbox_oldest_seconds{cluster="main",pod="u1"}`: "45x130 700x39"}},
		{"BacklogOld", "events wait", series{backlog("job-events-status-updater"): "12x130 400x39"}},
		{"BacklogOld", "phases wait", series{backlog("job-phases-phase-tracer"): "12x130 400x39"}},
		{"DeadLettersNotKept", "letters wait", series{backlog("dead-letters-dlq-handler"): "20x130 700x39"}},
		{"DeadLetters", "the first letter of its kind", series{letterCount("new"): "0x160 1x9"}},
		{"DeadLetters", "a replay did not help", series{letterCount("reopened"): "0x160 1x9"}},
		{"DevelopersNotTold", "Slack does not take it", series{`resiliency_notify_oldest_seconds{cluster="main",pod="d1"}`: "30x130 1000x39"}},
		{"DevelopersNotTold", "Slack refuses the token", series{`resiliency_notify_denied{cluster="main",pod="d1"}`: "0x130 1x39"}},
		{"RecoveryHasNotRun", "the runs of one cluster end", series{recovery("runs", "second"): "0x39 1x130"}},
		{"RecoveryHasNotRun", "one cluster never had a run", series{recovery("runs", "second"): ""}},
		{"RecoveryVerdictsWithheld", "a run withholds verdicts", series{recovery("withheld", "main"): "1x139 2x30"}},
		{"RecoveryLeavesJobs", "two runs in a row leave jobs", series{recovery("unsettled", "main"): "3x69 4x59 5x40"}},
		{"RecoveryCutShort", "two runs in a row are cut short", series{recovery("cut", "second"): "1x69 2x59 3x40"}},
	}
}

// Each alert tells of its fault, and of that alone, and all are silent while nothing is
// wrong: asked by the engine of Prometheus itself.
func TestAlerts_fire_on_their_fault_alone(t *testing.T) {
	t.Parallel()
	rules := alerts(t)
	if got := firing(t, rules, healthy()); len(got) > 0 {
		t.Errorf("nothing is wrong, and %v fire", got)
	}
	tried := map[string]bool{}
	for _, f := range faults() {
		tried[f.alert] = true
		t.Run(f.alert+"/"+f.what, func(t *testing.T) {
			t.Parallel()
			all := healthy()
			for name, values := range f.change {
				if _, ok := all[name]; !ok {
					t.Fatalf("no series %s", name)
				}
				all[name] = values
			}
			if diff := cmp.Diff([]string{f.alert}, firing(t, rules, all)); diff != "" {
				t.Errorf("alerts, -want +firing:\n%s", diff)
			}
		})
	}
	for name := range rows(rules, "alerts", "query") {
		if !tried[name] {
			t.Errorf("alert %s is not tried with a fault", name)
		}
	}
}

// firing are the alerts that would tell somebody at some time, sorted.
func firing(t *testing.T, rules map[string]cty.Value, all series) []string {
	t.Helper()
	samples := loaded(t, all)
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1_000_000, Timeout: time.Minute})
	defer func() { _ = engine.Close() }()
	durations := rows(rules, "alerts", "duration")
	var names []string
	for name, query := range rows(rules, "alerts", "query") {
		duration, err := time.ParseDuration(durations[name])
		if err != nil {
			t.Fatalf("alert %s: %v", name, err)
		}
		q, err := engine.NewRangeQuery(t.Context(), samples, nil, query, time.Unix(0, 0).Add(calm), time.Unix(0, 0).Add(atEnd), interval)
		if err != nil {
			t.Fatalf("alert %s: %v", name, err)
		}
		matrix, err := q.Exec(t.Context()).Matrix()
		if err != nil {
			t.Fatalf("alert %s: %v", name, err)
		}
		if slices.ContainsFunc(matrix, func(s promql.Series) bool { return held(s, duration) }) {
			names = append(names, name)
		}
		q.Close()
	}
	slices.Sort(names)
	return names
}

// held tells whether a series was there for so long without a gap.
func held(s promql.Series, duration time.Duration) bool {
	var since, last int64
	for i, p := range s.Floats {
		if i == 0 || p.T-last > interval.Milliseconds() {
			since = p.T
		}
		if last = p.T; last-since >= duration.Milliseconds() {
			return true
		}
	}
	return false
}
