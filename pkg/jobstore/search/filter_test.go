package search

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/envision/resiliency/pkg/resilience"
)

func TestFilter_Check(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		f     Filter
		limit int
		ok    bool
	}{
		"all":             {Filter{}, 50, true},
		"none_on_a_page":  {Filter{}, 0, false},
		"too_many":        {Filter{}, MaxPage + 1, false},
		"id":              {Filter{JobID: "j-1"}, 50, true},
		"path":            {Filter{JobID: "a/b"}, 50, false},
		"prefix":          {Filter{Prefix: "j-"}, 50, true},
		"prefix_is_path":  {Filter{Prefix: "../"}, 50, false},
		"prefix_too_long": {Filter{Prefix: strings.Repeat("x", 64)}, 50, false},
		"longest_prefix":  {Filter{Prefix: strings.Repeat("x", 63)}, 50, true},
		"prefix_and_time": {Filter{Prefix: "j", From: time.Now()}, 50, false},
		"prefix_to_time":  {Filter{Prefix: "j", To: time.Now()}, 50, false},
		"id_and_from":     {Filter{JobID: "j", From: time.Now()}, 50, false},
		"id_and_to":       {Filter{JobID: "j", To: time.Now()}, 50, false},
		"id_and_prefix":   {Filter{JobID: "j-1", Prefix: "j"}, 50, false},
		"many_tenants":    {Filter{Tenants: make([]string, 31)}, 50, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tc.f.check(tc.limit)
			if (err == nil) != tc.ok || err != nil && (!errors.Is(err, ErrFilter) || !resilience.IsPermanent(err)) {
				t.Errorf("error %v", err)
			}
		})
	}
}
