package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/envision/resiliency/pkg/jobstore/letters"
)

const nasty = "<script>alert(1)</script><img src=x onerror=alert(2)>\"' javascript:alert(3)\u202Eevil\x00\x1b[2J"

// poison puts the nasty text into every string of a value, but ids and states,
// which are the store's own.
func poison(v reflect.Value, name string) {
	switch v.Kind() {
	case reflect.String:
		if !slices.Contains([]string{"ID", "State", "What", "Action", "Target", "Operation"}, name) {
			v.SetString(nasty)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				poison(v.Field(i), v.Type().Field(i).Name)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			poison(v.Index(i), name)
		}
	default:
	}
}

func TestPages_NothingInALetterRuns(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.desk.add("", func(l *letters.Letter) {
		l.Attributes = []letters.Attribute{{Key: "k", Value: "v"}}
		l.History = append(l.History, letters.Event{What: letters.EventDiedAgain})
		l.Cleanup.Action = "applied"
		poison(reflect.ValueOf(l).Elem(), "")
		l.PayloadURI, l.Payload = "", []byte(nasty)
	})
	op := f.desk.operate("")
	poison(reflect.ValueOf(f.desk.operations[op]).Elem(), "")
	f.desk.audits = []letters.Audit{{ID: "a", At: now, Action: letters.ActionReplay, Target: id}}
	poison(reflect.ValueOf(&f.desk.audits[0]).Elem(), "")
	q := url.QueryEscape("<script>alert(1)</script>")
	pages := []string{
		"/letters", "/letters/" + id, "/operations", "/operations/" + op, "/audit", "/replays/new",
		"/letters?job_id=" + q, "/letters/" + id + "?result=" + q, "/letters/" + q, "/audit?who=" + q, "/letters?state=" + q,
		"/letters?" + q + "=1", "/letters?cursor=" + q, "/replays/new?fingerprint=" + q, "/replays/new?rate=" + q,
	}
	for _, page := range pages {
		for _, target := range []string{page, "/api" + page} {
			w := f.get(root, target)
			if w.Code == http.StatusInternalServerError {
				t.Errorf("%s: status 500: %s", target, w.Body)
			}
			lacks(t, w, "<script>alert", "<img", "\x1b", "\x00")
			if !strings.HasPrefix(target, "/api") {
				lacks(t, w, "\u202e")
			}
			if kind := w.Header().Get("Content-Type"); !strings.HasPrefix(kind, "text/html") && !strings.HasPrefix(kind, "application/json") {
				t.Errorf("%s: content type %q", target, kind)
			}
			if regexp.MustCompile(`(href|action|src)="\s*javascript`).MatchString(w.Body.String()) {
				t.Errorf("%s: an address that runs", target)
			}
		}
	}
	w := f.get(root, "/letters/"+id+"/payload")
	want(t, w, http.StatusOK, nasty)
	if w.Header().Get("Content-Type") != "application/octet-stream" ||
		!strings.HasPrefix(w.Header().Get("Content-Disposition"), "attachment") || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("a browser may run the payload: %v", w.Header())
	}
}

func TestLetters_BadInput(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	bad := map[string]string{
		"state=LOST": "bad_filter", "category=bad": "bad_filter", "from=yesterday": "bad_filter", "from=0000-01-01": "bad_filter",
		"to=10000-01-01T00:00:00Z": "bad_filter", "from=2026-01-02&to=2026-01-01": "bad_filter", "job=j-1": "bad_filter",
		"state=OPEN&state=REPLAYED": "bad_filter", "limit=0": "bad_filter", "limit=201": "bad_filter", "limit=x": "bad_filter",
		"job_id=%00": "bad_value", "job_id=%ff": "bad_value", "job_id=" + strings.Repeat("x", 300): "bad_value",
		"cursor=xxx": "bad_cursor", "cursor=%00": "bad_cursor", "cursor=" + strings.Repeat("A", 3000): "bad_cursor", "a=%zz": "bad_query",
		"a;b=c": "bad_query",
	}
	for query, code := range bad {
		want(t, f.get(root, "/api/letters?"+query), http.StatusBadRequest, `"code": "`+code+`"`, `"remedy"`)
		want(t, f.get(root, "/letters?"+query), http.StatusBadRequest, `data-code="`+code+`"`)
	}
	for _, target := range []string{"/letters/..%2f..", "/letters/%00", "/letters/" + strings.Repeat("x", 200), "/operations/a%20b"} {
		want(t, f.get(root, target), http.StatusNotFound)
		want(t, f.get(root, "/api"+target), http.StatusNotFound)
	}
}

func TestLetters_Cursors(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var ids []string
	for range 5 {
		ids = append(ids, f.desk.add("team-a"))
	}
	type page struct {
		Letters []struct{ ID string }
		Next    string `json:"next_cursor"`
	}
	var got, cursors []string
	for next := ""; ; {
		w := f.get(viewer, "/api/letters?job_id=&limit=2&cursor="+next)
		var p page
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%d %v: %s", w.Code, err, w.Body)
		}
		for _, l := range p.Letters {
			got = append(got, l.ID)
		}
		if next = p.Next; next == "" {
			break
		}
		cursors = append(cursors, next)
	}
	if !slices.Equal(got, ids) {
		t.Errorf("pages hold %v, want %v", got, ids)
	}
	c := cursors[0]
	for _, target := range []string{
		"/api/letters?state=ANY&cursor=" + c, "/api/letters?cursor=" + c[:len(c)-4], "/api/letters?cursor=A" + c[1:], "/api/operations?cursor=" + c,
	} {
		want(t, f.get(viewer, target), http.StatusBadRequest, "bad_cursor")
	}
	// The page's own link goes on from there.
	first := f.get(viewer, "/letters?limit=3")
	want(t, first, http.StatusOK, `id="next"`)
	link := regexp.MustCompile(`id="next" rel="next" href="([^"]+)"`).FindStringSubmatch(first.Body.String())
	second := f.get(viewer, strings.ReplaceAll(link[1], "&amp;", "&"))
	want(t, second, http.StatusOK, ids[3], ids[4])
	lacks(t, second, ids[2], `id="next"`)
}

func TestLetter_ShowsEverything(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.desk.add("team-a", func(l *letters.Letter) {
		l.Payload, l.Replays = []byte{0xff, 0x00, 'a'}, 1
		l.History = append(l.History,
			letters.Event{At: now, What: letters.EventReplayed, Who: operator, Reason: "first try"},
			letters.Event{At: now, What: letters.EventDiedAgain, Reason: "after replay 1"})
	})
	want(t, f.get(operator, "/letters/"+id), http.StatusOK,
		`data-life="1"`, `data-life="2"`, "first try", "after replay 1", "ff 00 61", "It is not text"[3:], `id="replay"`, `id="discard"`, "job_id&#34;: &#34;x")
	want(t, f.get(viewer, "/api/letters/"+id), http.StatusOK, `"payload_base64": "/wBh"`, `"what": "died_again"`, `"decoded"`)
	lacks(t, f.get(viewer, "/api/letters"), "payload_base64", `"history"`)
	large := f.desk.add("team-a", func(l *letters.Letter) { l.Payload, l.PayloadURI = nil, "gs://bucket/object" })
	want(t, f.get(viewer, "/letters/"+large), http.StatusOK, "gs://bucket/object")
	want(t, f.get(viewer, "/api/letters/"+large), http.StatusOK, `"payload_base64": null`, `"payload_uri": "gs://bucket/object"`)
	empty := f.desk.add("team-a", func(l *letters.Letter) { l.Payload, l.Decoded, l.PayloadSize = nil, "", 0 })
	want(t, f.get(viewer, "/letters/"+empty), http.StatusOK, "The payload is empty.")
	want(t, f.get(viewer, "/api/letters/"+empty), http.StatusOK, `"payload_base64": ""`)
	long := f.desk.add("team-a", func(l *letters.Letter) { l.Payload = []byte(strings.Repeat("ü", 10_000)) })
	want(t, f.get(viewer, "/letters/"+long), http.StatusOK, "This is the beginning")
}

func TestReplay_One(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.desk.add("team-a")
	want(t, f.post(operator, "/api/letters/"+id+"/replay", `{"reason":"mended"}`), http.StatusOK, `"outcome": "replayed"`, `"state": "REPLAYED"`)
	want(t, f.post(operator, "/api/letters/"+id+"/replay", ""), http.StatusOK, `"outcome": "already_replayed"`)
	w := f.post(operator, "/letters/"+id+"/replay", "reason=again")
	want(t, w, http.StatusSeeOther)
	want(t, f.get(operator, w.Header().Get("Location")), http.StatusOK, `data-result="already_replayed"`, "Nothing was sent", `data-state="REPLAYED"`)
	if !slices.Equal(f.desk.sent, []string{id}) {
		t.Errorf("sent %v, want it once", f.desk.sent)
	}
	if a := f.desk.audits; len(a) != 1 || a[0].Who != operator || a[0].Reason != "mended" || a[0].Target != id {
		t.Errorf("audited %+v", a)
	}
	busy := f.desk.add("team-a", func(l *letters.Letter) { l.State = letters.StateReplaying })
	want(t, f.post(operator, "/api/letters/"+busy+"/replay", "{}"), http.StatusOK, `"outcome": "in_progress"`)
	want(t, f.get(operator, "/letters/"+busy), http.StatusOK, `data-live="2"`, `<noscript><meta http-equiv="refresh"`)
	f.desk.refuse = "The topic job-events does not exist."
	refused := f.desk.add("team-a")
	want(t, f.post(operator, "/api/letters/"+refused+"/replay", "{}"), http.StatusConflict, `"code": "not_sent"`, f.desk.refuse)
	w = f.post(operator, "/letters/"+refused+"/replay", "reason=x")
	want(t, w, http.StatusConflict, `data-result="refused"`, f.desk.refuse, `data-state="OPEN"`, `id="replay"`)
}

func TestReplay_TwoOperatorsAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.desk.add("team-a")
	outcomes := make(chan string, 20)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			w := f.post(operator, "/api/letters/"+id+"/replay", "{}")
			var body struct{ Outcome string }
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != http.StatusOK {
				t.Errorf("%d %v: %s", w.Code, err, w.Body)
			}
			outcomes <- body.Outcome
		})
	}
	wg.Wait()
	close(outcomes)
	count := map[string]int{}
	for o := range outcomes {
		count[o]++
	}
	if count["replayed"] != 1 || count["already_replayed"] != 19 {
		t.Errorf("outcomes %v", count)
	}
}

func TestDiscard(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.desk.add("team-a")
	for _, body := range []string{"", "{}", `{"reason":"  "}`} {
		want(t, f.post(operator, "/api/letters/"+id+"/discard", body), http.StatusBadRequest, `"code": "no_reason"`)
	}
	long := fmt.Sprintf(`{"reason":%q}`, strings.Repeat("x", 501))
	want(t, f.post(operator, "/api/letters/"+id+"/discard", long), http.StatusBadRequest, `"code": "bad_value"`)
	want(t, f.post(operator, "/api/letters/"+id+"/discard", `{"reason":"\u0000"}`), http.StatusBadRequest, `"code": "bad_value"`)
	want(t, f.post(operator, "/letters/"+id+"/discard", "reason=%zz"), http.StatusBadRequest, `data-code="bad_form"`)
	want(t, f.post(operator, "/letters/"+id+"/discard", "reason="+strings.Repeat("x", 70_000)), http.StatusRequestEntityTooLarge)
	w := f.post(operator, "/letters/"+id+"/discard", "reason=test+data")
	want(t, w, http.StatusSeeOther)
	want(t, f.get(operator, w.Header().Get("Location")), http.StatusOK, `data-result="discarded"`, `data-state="DISCARDED"`)
	want(t, f.post(operator, "/api/letters/"+id+"/discard", `{"reason":"x"}`), http.StatusConflict, "The letter is DISCARDED")
	if a := f.desk.audits; len(a) != 1 || a[0].Reason != "test data" {
		t.Errorf("audited %+v", a)
	}
	other := f.desk.add("team-a")
	want(t, f.post(operator, "/api/letters/"+other+"/discard", `{"reason":"x"}`), http.StatusOK, `"state": "DISCARDED"`)
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for err, code := range map[error]int{
		status.Error(codes.Unavailable, "secret"): http.StatusServiceUnavailable,
		errors.New("secret"):                      http.StatusInternalServerError,
		fmt.Errorf("x: %w", letters.ErrFilter):    http.StatusBadRequest,
		fmt.Errorf("x: %w", letters.ErrContended): http.StatusConflict,
	} {
		f := newFixture(t)
		f.desk.err = err
		for _, target := range []string{"/letters", "/letters/x", "/operations", "/audit", "/replays/new?fingerprint=x"} {
			w := f.get(root, target)
			want(t, w, code)
			lacks(t, w, "secret")
		}
	}
}
