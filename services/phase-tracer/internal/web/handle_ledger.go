package web

import (
	"net/http"
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
	// Longest is the longest 95th percentile, the length of a full bar.
	Longest time.Duration
}

// Share is a duration as a part of the longest, in percent.
func (v *ledgerView) Share(d time.Duration) float64 {
	if v.Longest <= 0 {
		return 0
	}
	return min(100*float64(d)/float64(v.Longest), 100)
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
	for i := range v.Rows {
		v.Longest = max(v.Longest, v.Rows[i].P95)
		if v.Rows[i].Slow {
			v.Slow++
		}
	}
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
