package web

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/envision/resiliency/pkg/jobstore/letters"
)

func TestReplays_DryRunThenStart(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for range 3 {
		f.desk.add("team-a")
	}
	f.desk.add("team-a", func(l *letters.Letter) { l.Fingerprint = "f-2" })
	page := f.get(operator, "/letters?fingerprint=f-1")
	want(t, page, http.StatusOK, `href="/replays/new?fingerprint=f-1"`)
	dry := f.get(operator, "/replays/new?fingerprint=f-1&limit=2")
	want(t, dry, http.StatusOK, `data-matched="3"`, "nothing has been sent", "2 letters would be sent", `name="fingerprint" value="f-1"`)
	lacks(t, dry, `id="confirm-all"`)
	want(t, f.post(operator, "/api/replays", `{"dry_run":true,"filter":{"fingerprint":"f-1"},"limit":2}`), http.StatusOK,
		`"matched": 3`, `"sends": 2`, `"needs_confirmation": false`, `"seconds": 60`)
	if len(f.desk.started) > 0 {
		t.Fatal("the dry run started something")
	}
	w := f.post(operator, "/replays", "fingerprint=f-1&rate=7.5&limit=2&reason=mended+it")
	want(t, w, http.StatusSeeOther)
	request := letters.ReplayRequest{
		Filter: letters.Filter{State: letters.StateOpen, Fingerprint: "f-1", Tenants: []string{"team-a"}},
		Rate:   7.5, Limit: 2, By: operator, Reason: "mended it",
	}
	if diff := cmp.Diff([]letters.ReplayRequest{request}, f.desk.started); diff != "" {
		t.Errorf("started (-want +got):\n%s", diff)
	}
	want(t, f.get(operator, w.Header().Get("Location")), http.StatusOK, `data-live="1"`, `id="cancel"`, "mended it", `<noscript><meta http-equiv="refresh"`)
}

func TestReplays_EverythingNeedsAConfirmation(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for range 3 {
		f.desk.add("team-a")
	}
	f.desk.add("team-a", func(l *letters.Letter) { l.State = letters.StateReplayed })
	for _, filter := range []string{``, `"from":"1970-01-01"`, `"state":"open"`, `"to":"2027-01-01T00:00:00Z"`} {
		body := func(more string) string { return fmt.Sprintf(`{"filter":{%s},"reason":"x"%s}`, filter, more) }
		want(t, f.post(operator, "/api/replays", body("")), http.StatusConflict, `"code": "confirm_all"`, "3 open letters")
		want(t, f.post(operator, "/api/replays", body(`,"dry_run":true`)), http.StatusOK, `"needs_confirmation": true`)
		want(t, f.post(operator, "/api/replays", body(`,"confirm_all":true`)), http.StatusAccepted, `"state": "RUNNING"`)
	}
	want(t, f.get(operator, "/replays/new"), http.StatusOK, `id="confirm-all"`, "everything that is open")
	want(t, f.post(operator, "/replays", "reason=x"), http.StatusConflict, `data-code="confirm_all"`)
	want(t, f.post(operator, "/replays", "reason=x&confirm_all=yes"), http.StatusSeeOther)
	// A time that leaves something out is a restriction.
	some := fmt.Sprintf(`{"filter":{"from":%q},"reason":"x"}`, now.Add(-time.Second).Format(time.RFC3339))
	want(t, f.post(operator, "/api/replays", some), http.StatusAccepted)
}

func TestReplays_BadInput(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.desk.add("team-a")
	cases := []struct {
		body   string
		status int
		code   string
	}{
		{`{"filter":{"fingerprint":"none"},"reason":"x"}`, 409, "matches_nothing"},
		{`{"filter":{"fingerprint":"f-1"}}`, 400, "no_reason"},
		{`{"filter":{"state":"REPLAYED"},"reason":"x"}`, 400, "bad_filter"},
		{`{"filter":{"state":"ANY"},"reason":"x"}`, 400, "bad_filter"},
		{`{"filter":{"fingerprnt":"f-1"},"reason":"x"}`, 400, "bad_json"},
		{`{"filter":{"fingerprint":"f-1"},"reason":"x","rate":-1}`, 400, "bad_filter"},
		{`{"filter":{"fingerprint":"f-1"},"reason":"x","rate":0.001}`, 400, "bad_filter"},
		{`{"filter":{"fingerprint":"f-1"},"reason":"x","rate":101}`, 400, "bad_filter"},
		{`{"filter":{"fingerprint":"f-1"},"reason":"x","rate":"fast"}`, 400, "bad_json"},
		{`{"filter":{"fingerprint":"f-1"},"reason":"x","limit":-1}`, 400, "bad_filter"},
		{`{"filter":{"fingerprint":"f-1"},"reason":"x","limit":1e99}`, 400, "bad_json"},
		{`{"filter":null,"reason":"x"}`, 409, "confirm_all"},
		{`{"filter":{"tenant":"team-z"},"reason":"x"}`, 409, "matches_nothing"},
		{`{`, 400, "bad_json"},
	}
	for _, tc := range cases {
		want(t, f.post(operator, "/api/replays", tc.body), tc.status, `"code": "`+tc.code+`"`)
	}
	for body, code := range map[string]string{
		"fingerprint=f-1&reason=x&rate=NaN": "bad_filter", "fingerprint=f-1&reason=x&rate=1e999": "bad_filter",
		"fingerprint=f-1&reason=x&limit=all": "bad_filter", "finger=f-1&reason=x": "bad_filter", "fingerprint=f-1&reason=": "no_reason",
		"fingerprint=f-1&fingerprint=f-2&reason=x": "bad_filter",
	} {
		want(t, f.post(operator, "/replays", body), http.StatusBadRequest, `data-code="`+code+`"`)
	}
	want(t, f.get(operator, "/replays/new?fingerprint=none"), http.StatusOK, "matches no open letter", `data-matched="0"`)
	lacks(t, f.get(operator, "/replays/new?fingerprint=none"), `id="start"`)
	if len(f.desk.started) > 0 {
		t.Errorf("started %+v", f.desk.started)
	}
}

func TestOperations(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.desk.operate("team-a")
	o := f.desk.operations[id]
	o.Matched, o.Replayed, o.Skipped, o.Failed, o.LastError = 10, 4, 1, 1, "topic is gone"
	want(t, f.get(viewer, "/operations/"+id), http.StatusOK, `data-state="RUNNING"`, `value="6"`, `max="10"`, "topic is gone", "6 letters of 10")
	lacks(t, f.get(viewer, "/operations/"+id), `id="cancel"`)
	want(t, f.get(viewer, "/api/operations/"+id), http.StatusOK, `"done": 6`, `"matched": 10`)
	w := f.post(operator, "/operations/"+id+"/cancel", "reason=enough")
	want(t, w, http.StatusSeeOther)
	done := f.get(operator, w.Header().Get("Location"))
	want(t, done, http.StatusOK, `data-state="CANCELLED"`, "1m")
	lacks(t, done, "data-live", "http-equiv", `id="cancel"`)
	want(t, f.post(operator, "/api/operations/"+id+"/cancel", "{}"), http.StatusConflict, "it is CANCELLED")
	for range 3 {
		f.desk.operate("team-a")
	}
	want(t, f.get(viewer, "/operations?limit=2"), http.StatusOK, `id="next"`)
	want(t, f.get(viewer, "/api/operations?limit=2"), http.StatusOK, `"next_cursor"`)
}

// The way from an operation to its letters names all that its filter does, or
// there is none.
func TestOperations_LinkToTheirLetters(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.desk.operate("team-a")
	chosen := &f.desk.operations[id].Filter
	chosen.Fingerprint, chosen.From, chosen.To = "f-1", now.Add(-1500*time.Millisecond), now
	inside, before := f.desk.add("team-a", func(l *letters.Letter) { l.LastSeenAt = now.Add(-time.Second) }), f.desk.add("team-a")
	f.desk.letters[before].LastSeenAt = now.Add(-time.Hour)
	link := regexp.MustCompile(`href="(/letters\?[^"]+)"`)
	page := f.get(operator, "/operations/"+id)
	found := link.FindStringSubmatch(page.Body.String())
	if found == nil {
		t.Fatalf("no link:\n%s", page.Body)
	}
	address := strings.ReplaceAll(found[1], "&amp;", "&")
	for _, part := range []string{"from=2026-11-21T19%3A59%3A58.5Z", "to=2026-11-21T20%3A00%3A00Z", "tenant=team-a", "fingerprint=f-1", "state=ANY"} {
		if !strings.Contains(address, part) {
			t.Errorf("link %s lacks %s", address, part)
		}
	}
	list := f.get(operator, address)
	want(t, list, http.StatusOK, inside)
	lacks(t, list, before)
	chosen.Tenants = []string{"team-a", "team-b"}
	if found := link.FindString(f.get(root, "/operations/"+id).Body.String()); found != "" {
		t.Errorf("of two tenants there is the link %s", found)
	}
}

func TestAudit(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.desk.add("team-a")
	f.post(operator, "/api/letters/"+id+"/replay", `{"reason":"mended"}`)
	f.post(root, "/api/replays", `{"filter":{},"confirm_all":true,"reason":"none left"}`)
	other := f.desk.add("team-a")
	f.post(root, "/api/letters/"+other+"/discard", `{"reason":"test data"}`)
	want(t, f.get(root, "/audit"), http.StatusOK, "mended", "test data", `href="/letters/`+id+`"`, operator)
	w := f.get(root, "/api/audit?who="+operator)
	want(t, w, http.StatusOK, "mended", `"action": "replay"`)
	lacks(t, w, "test data")
	want(t, f.get(root, "/api/audit?target="+other), http.StatusOK, "test data")
	want(t, f.get(root, "/api/audit?target=nothing"), http.StatusOK, `"entries": []`)
	want(t, f.get(root, "/audit?limit=1"), http.StatusOK, `id="next"`)
	want(t, f.get(root, "/audit?who=%ff"), http.StatusBadRequest)
}

var (
	idAttribute = regexp.MustCompile(`\sid="([^"]+)"`)
	fieldTag    = regexp.MustCompile(`<(?:input|select|textarea)[^>]*>`)
)

// TestPages_CanBeUsedByEverybody holds what a screen reader, a keyboard and a
// strict policy need of every page.
func TestPages_CanBeUsedByEverybody(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id, op := f.desk.add("team-a"), f.desk.operate("team-a")
	f.post(root, "/api/letters/"+f.desk.add("")+"/replay", "{}")
	for _, page := range []string{"/letters", "/letters/" + id, "/operations", "/operations/" + op, "/audit", "/replays/new", "/nowhere"} {
		body := f.get(root, page).Body.String()
		seen := map[string]bool{}
		for _, m := range idAttribute.FindAllStringSubmatch(body, -1) {
			if seen[m[1]] {
				t.Errorf("%s: two elements have the id %s", page, m[1])
			}
			seen[m[1]] = true
		}
		for _, tag := range fieldTag.FindAllString(body, -1) {
			m := idAttribute.FindStringSubmatch(tag)
			if strings.Contains(tag, `type="hidden"`) {
				continue
			}
			if m == nil || !strings.Contains(body, `<label for="`+m[1]+`"`) {
				t.Errorf("%s: %s has no label", page, tag)
			}
		}
		for _, text := range []string{"<h1", `<html lang="en">`, `<main id="main"`, `name="viewport"`, "<title>"} {
			if strings.Count(body, text) != 1 {
				t.Errorf("%s: %d of %s", page, strings.Count(body, text), text)
			}
		}
		if strings.Contains(body, "style=") || strings.Contains(body, "<style") || regexp.MustCompile(`\son[a-z]+="`).MatchString(body) {
			t.Errorf("%s: inline style or script", page)
		}
	}
}
