package deliver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/envision/resiliency/pkg/resilience"
	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

// world is a cluster of Jobs with one Pod each in two namespaces, a process that
// watches it, one on standby, and what a crash leaves behind.
type world struct {
	t       *rapid.T
	version uint64
	// objects by name; those deleted stay, without a life.
	objects map[string]*object
	events  []event // everything that happened, in order
	// confirmed is what the receiver has; refused is dropped for good.
	confirmed, refused map[string]bool
	stored             fact.Levels

	leader, standby *process
}

type object struct {
	ns      string
	version uint64 // of its last change
	steps   int    // its facts are step 1 to this
	gone    bool
}

type event struct {
	stream fact.Stream
	name   string
	object object // as it was then
}

// process is one replica: a queue, and how far its watches have read.
type process struct {
	*Queue
	read map[fact.Stream]int // index into events; -1 before the list
}

func namespaces() []string { return []string{"a", "b"} }

func jobs(ns string) fact.Stream { return fact.Stream("jobs." + ns) }
func pods(ns string) fact.Stream { return fact.Stream("pods." + ns) }

func newWorld(t *rapid.T) *world {
	w := &world{t: t, version: 10, objects: map[string]*object{}, confirmed: map[string]bool{}, refused: map[string]bool{}}
	w.leader, w.standby = w.start(), w.start()
	w.leader.Lead()
	return w
}

func (w *world) start() *process {
	p := &process{read: map[fact.Stream]int{}}
	p.Queue = New(Config{Standby: true}, w, prometheus.NewRegistry(), zerolog.Nop())
	w.t.Cleanup(p.work.ShutDown)
	p.Known(w.stored)
	for _, ns := range namespaces() {
		p.read[jobs(ns)], p.read[pods(ns)] = -1, -1
	}
	return p
}

// Wait implements Sender.
func (w *world) Wait(context.Context, []fact.Fact) error { return nil }

// Send implements Sender: each fact is confirmed, refused, lost or delayed, and a
// confirmation may itself be lost.
func (w *world) Send(_ context.Context, facts []fact.Fact) []error {
	errs := make([]error, len(facts))
	for i, f := range facts {
		switch rapid.SampledFrom([]string{"ok", "ok", "ok", "fail", "unheard", "refuse"}).Draw(w.t, "outcome") {
		case "ok":
			w.confirmed[f.EventID()] = true
		case "unheard":
			w.confirmed[f.EventID()] = true
			errs[i] = errors.New("no answer")
		case "refuse":
			w.refused[f.EventID()] = true
			errs[i] = resilience.Permanent(errors.New("no"))
		default:
			errs[i] = errors.New("not now")
		}
	}
	return errs
}

// change lets something happen to a Job or its Pod; both have the same name.
func (w *world) change(kind string, stream func(string) fact.Stream) {
	name := kind + rapid.StringMatching("[a-e]").Draw(w.t, "name")
	o := w.objects[name]
	if o == nil {
		o = &object{ns: rapid.SampledFrom(namespaces()).Draw(w.t, "namespace")}
		if other := w.objects[opposite(kind)+name[1:]]; other != nil {
			o.ns = other.ns // a Pod lives beside its Job
		}
		w.objects[name] = o
	}
	if o.gone {
		return
	}
	w.version++
	o.version, o.steps = w.version, o.steps+1
	o.gone = kind == "j" && o.steps > 1 && rapid.IntRange(0, 5).Draw(w.t, "gone") == 0
	w.events = append(w.events, event{stream(o.ns), name, *o})
}

func opposite(kind string) string {
	if kind == "j" {
		return "p"
	}
	return "j"
}

// said are the facts of an object, each with an id that follows from it.
func said(name string, o object) []fact.Fact {
	var ids []string
	for i := range o.steps {
		ids = append(ids, fmt.Sprintf("%s/%d", name, i+1))
	}
	return facts(ids...)
}

// see hands one change over as the watch does; from is the first version at
// which it can have happened.
func (w *world) see(p *process, s fact.Stream, name string, o object, from uint64) {
	uid := types.UID(name[1:])
	mark := fact.Mark{Stream: s, From: from, To: o.version}
	if name[0] == 'j' {
		if o.gone {
			p.Gone(uid, func(context.Context) ([]fact.Fact, error) { return said(name, o), nil }, mark)
			return
		}
		p.Seen(uid, said(name, o), mark)
		if pod, ok := w.asSeen(p, pods(o.ns), "p"+name[1:]); ok {
			p.Also(uid, said("p"+name[1:], pod), mark, fact.Mark{Stream: pods(o.ns), From: pod.version, To: pod.version})
		}
		return
	}
	if owner, ok := w.asSeen(p, jobs(o.ns), "j"+name[1:]); ok {
		p.Also(uid, said(name, o), mark, fact.Mark{Stream: jobs(o.ns), From: owner.version, To: owner.version})
	}
}

// asSeen is an object as a process knows it: the newest that its watch has read.
func (w *world) asSeen(p *process, s fact.Stream, name string) (object, bool) {
	var found object
	for _, e := range w.events[:max(p.read[s], 0)] {
		if e.stream == s && e.name == name {
			found = e.object
		}
	}
	return found, found.version > 0 && !found.gone
}

// watch lets a process read on in one stream: first the list, then one change.
func (w *world) watch(p *process) {
	ns := rapid.SampledFrom(namespaces()).Draw(w.t, "stream of")
	s := jobs(ns)
	if p.read[s] >= 0 && rapid.Bool().Draw(w.t, "pods") {
		s = pods(ns) // they are listed after the Jobs
	}
	if p.read[s] < 0 {
		w.list(p, s)
		return
	}
	for i := p.read[s]; i < len(w.events); i++ {
		p.read[s] = i + 1
		if e := w.events[i]; e.stream == s {
			w.see(p, s, e.name, e.object, e.object.version)
			p.Reached(s, e.object.version)
			return
		}
	}
}

// list hands a complete list over in any order, or part of it before a crash.
func (w *world) list(p *process, s fact.Stream) {
	now := map[string]object{}
	for _, e := range w.events {
		if e.stream == s {
			now[e.name] = e.object
		}
	}
	version, read, stored := w.version, len(w.events), p.Stored(s)
	w.meanwhile(p)
	p.Listed(s, version, stored)
	p.read[s] = read
	for _, name := range rapid.Permutation(slices.Sorted(maps.Keys(now))).Draw(w.t, "order") {
		if !now[name].gone {
			w.see(p, s, name, now[name], 1)
		}
		if rapid.IntRange(0, 9).Draw(w.t, "save in between") == 0 {
			w.save(p)
		}
	}
	p.Reached(s, version)
}

// meanwhile is what happens while a process on standby reads a list.
func (w *world) meanwhile(p *process) {
	if p == w.leader {
		return
	}
	for range rapid.IntRange(0, 5).Draw(w.t, "steps meanwhile") {
		switch rapid.IntRange(0, 3).Draw(w.t, "step") {
		case 0:
			w.change("j", jobs)
		case 1:
			w.change("p", pods)
		case 2:
			w.watch(w.leader)
		default:
			w.deliver()
		}
	}
	w.save(w.leader)
	p.Known(w.stored)
}

// deliver lets one worker serve one Job.
func (w *world) deliver() {
	busy := slices.Sorted(maps.Keys(w.leader.busy))
	if len(busy) == 0 {
		return
	}
	uid := rapid.SampledFrom(busy).Draw(w.t, "uid")
	do := w.leader.next(uid)
	if len(do.batch) > 0 {
		_ = w.leader.send(w.t.Context(), uid, do.batch[:rapid.IntRange(1, len(do.batch)).Draw(w.t, "batch")])
	} else if do.judge != nil {
		_ = w.leader.judge(w.t.Context(), uid, do.judge, do.judgement)
	}
}

// save stores the watermark, after which what it claims must hold: everything
// that an object shows, and that follows from changes up to it, is settled.
func (w *world) save(p *process) {
	if !p.Leads() {
		return
	}
	w.stored = p.Watermark()
	for name, o := range w.objects {
		if name[0] != 'j' || o.gone || o.version > w.stored[jobs(o.ns)] {
			continue
		}
		w.settled(said(name, *o), "the watermark covers it")
		pod := w.objects["p"+name[1:]]
		if pod != nil && !pod.gone && pod.version <= w.stored[pods(pod.ns)] {
			w.settled(said("p"+name[1:], *pod), "the watermark covers it and its Job")
		}
	}
}

func (w *world) settled(facts []fact.Fact, why string) {
	for _, f := range facts {
		if id := f.EventID(); !w.confirmed[id] && !w.refused[id] {
			w.t.Fatalf("%s was neither confirmed nor refused, but %s: %v", id, why, w.stored)
		}
	}
}

// No interleaving of changes, reads, confirmations, saves, crashes and
// take-overs loses a fact of an object that is there, and the standby loses none
// of a deletion that it saw.
func TestWatermark_losesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		t.Repeat(map[string]func(*rapid.T){
			"job":     func(*rapid.T) { w.change("j", jobs) },
			"pod":     func(*rapid.T) { w.change("p", pods) },
			"watch":   func(*rapid.T) { w.watch(w.leader) },
			"read":    func(*rapid.T) { w.watch(w.leader) },
			"standby": func(*rapid.T) { w.watch(w.standby) },
			"deliver": func(*rapid.T) { w.deliver() },
			"save":    func(*rapid.T) { w.save(w.leader); w.standby.Known(w.stored) },
			"crash": func(*rapid.T) {
				w.leader = w.start()
				w.leader.Lead()
			},
			"takeover": func(*rapid.T) {
				w.leader, w.standby = w.standby, w.start()
				w.leader.Known(w.stored)
				w.leader.Lead()
			},
		})
		w.finish()
	})
}

// finish reads and sends all there is, with a receiver that takes everything.
func (w *world) finish() {
	for range 2 { // Jobs, then Pods
		for _, ns := range namespaces() {
			for _, s := range []fact.Stream{jobs(ns), pods(ns)} {
				if w.leader.read[s] < 0 {
					w.list(w.leader, s)
				}
				for i := w.leader.read[s]; i < len(w.events); i++ {
					w.leader.read[s] = i + 1
					if e := w.events[i]; e.stream == s {
						w.see(w.leader, s, e.name, e.object, e.object.version)
					}
				}
			}
		}
	}
	for uid := range maps.Clone(w.leader.busy) {
		for w.leader.busy[uid] != nil {
			do := w.leader.next(uid)
			for _, b := range do.batch {
				w.confirmed[b.EventID()] = true
			}
			w.leader.change(uid, func(e *entry) {
				all := map[uint64]bool{}
				for _, b := range do.batch {
					all[b.hash] = true
				}
				e.settle(all)
			})
			if len(do.batch) == 0 {
				if err := w.leader.judge(w.t.Context(), uid, do.judge, do.judgement); err != nil {
					w.t.Fatal(err)
				}
			}
		}
	}
	for name, o := range w.objects {
		owner := w.objects["j"+name[1:]]
		if !o.gone && owner != nil && !owner.gone {
			w.settled(said(name, *o), "nothing is left to send")
		}
	}
}
