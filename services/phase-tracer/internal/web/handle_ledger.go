package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	shared "github.com/envision/resiliency/pkg/web"
)

// window is a length of time that durations can be asked for.
type window struct {
	Name   string
	Text   string
	Length time.Duration
}

func windows() []window {
	return []window{
		{"1h", "last hour", time.Hour}, {"6h", "last 6 hours", 6 * time.Hour},
		{"24h", "last day", 24 * time.Hour}, {"7d", "last 7 days", 7 * 24 * time.Hour},
	}
}

// ledgerView is the page of durations.
type ledgerView struct {
	*Ledger

	Window  window
	Windows []window
	// Slow is how many rows have become slow.
	Slow int
	// Seen are the rows that are seen at once, those that became slow among them;
	// Rest is folded away.
	Seen, Rest []durationView
}

// durationView is a row with the bars that compare it with the others.
type durationView struct {
	LedgerRow

	// Share is its 95th percentile, ShareBefore the one before, as a part of the
	// longest, in percent.
	Share, ShareBefore string
}

// manyDurations is how many rows are seen at once.
const manyDurations = 60

// split makes the rows.
func (v *ledgerView) split() {
	var longest time.Duration
	for i := range v.Rows {
		longest = max(longest, v.Rows[i].P95, v.Rows[i].Before)
	}
	share := func(d time.Duration) string {
		return strconv.FormatFloat(100*float64(d)/float64(max(longest, 1)), 'f', 2, 64) + "%"
	}
	for i := range v.Rows {
		row := durationView{LedgerRow: v.Rows[i], Share: share(v.Rows[i].P95), ShareBefore: share(v.Rows[i].Before)}
		if row.Slow {
			v.Slow++
		}
		if row.Slow || len(v.Seen) < manyDurations {
			v.Seen = append(v.Seen, row)
		} else {
			v.Rest = append(v.Rest, row)
		}
	}
}

func (s *Site) pageLedger(w http.ResponseWriter, r *http.Request) error {
	all := windows()
	v := &ledgerView{Window: all[2], Windows: all}
	if name := r.URL.Query().Get("window"); name != "" {
		var ok bool
		if v.Window, ok = findWindow(name); !ok {
			known := make([]string, len(all))
			for i, w := range all {
				known[i] = w.Name
			}
			return shared.BadRequest("bad_window", "The durations are not kept for such a window.", "Ask for "+strings.Join(known, ", ")+".")
		}
	}
	var err error
	if v.Ledger, err = s.parts.Ledger.Ledger(r.Context(), v.Window.Length); err != nil {
		return err
	}
	v.split()
	return s.pages.Render(w, r, http.StatusOK, "ledger", "Durations", v)
}

func findWindow(name string) (window, bool) {
	for _, w := range windows() {
		if w.Name == name {
			return w, true
		}
	}
	return window{}, false
}
