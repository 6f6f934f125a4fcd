package ledger

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/mapping"
	"github.com/DataDog/sketches-go/ddsketch/store"
)

const (
	// accuracy is by how much a percentile may be off, as a part of itself.
	accuracy = 0.01
	// maxBins bounds a sketch: 2,048 bins of one percent span 17 powers of ten.
	maxBins = 2048
	// maxRows bounds a bucket, others beside: product code may put anything into a
	// phase's name. What does not fit is counted as others.
	maxRows = 400
	// others is the phase of what did not fit, of all stages; no stage is nameless, so no
	// row of the product is taken for it.
	others = "(others)"
)

// row names what is summed up; an empty phase is the whole stage.
type row struct{ Stage, Phase string }

// sum is what is known of one row.
type sum struct {
	count, failed int64
	sketch        *ddsketch.DDSketch
}

func newSum() (*sum, error) {
	m, err := mapping.NewLogarithmicMapping(accuracy)
	if err != nil {
		return nil, fmt.Errorf("make a sketch: %w", err)
	}
	bins := func() store.Store { return store.NewCollapsingLowestDenseStore(maxBins) }
	return &sum{sketch: ddsketch.NewDDSketch(m, bins(), bins())}, nil
}

// sums are the rows of a bucket, or of many that were merged.
type sums map[row]*sum

// at is the sum of a row, or of others when there is no room for one more.
func (s sums) at(r row) (at *sum, overflowed bool, err error) {
	if known := s[r]; known != nil {
		return known, false, nil
	}
	if len(s) >= maxRows {
		at, err = s.others()
		return at, true, err
	}
	made, err := newSum()
	if err != nil {
		return nil, false, err
	}
	s[r] = made
	return made, false, nil
}

func (s sums) others() (*sum, error) {
	r := row{Phase: others}
	if known := s[r]; known != nil {
		return known, nil
	}
	made, err := newSum()
	if err != nil {
		return nil, err
	}
	s[r] = made
	return made, nil
}

func (s sums) add(r row, took time.Duration, failed bool) (overflowed bool, err error) {
	at, overflowed, err := s.at(r)
	if err != nil {
		return false, err
	}
	if err := at.sketch.Add(took.Seconds()); err != nil {
		return false, fmt.Errorf("add %s to a sketch: %w", took, err)
	}
	at.count++
	if failed {
		at.failed++
	}
	return overflowed, nil
}

// fold counts the half of the rows that have the least values as others, and says how
// many values that were. Rows with values of all sizes have sketches so big that
// fewer than maxRows fit into a document.
func (s sums) fold() (folded int64, err error) {
	into, err := s.others()
	if err != nil {
		return 0, err
	}
	list := make([]row, 0, len(s))
	for r, of := range s {
		if of != into {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b row) int {
		return cmp.Or(cmp.Compare(s[a].count, s[b].count), strings.Compare(a.Stage, b.Stage), strings.Compare(a.Phase, b.Phase))
	})
	for _, r := range list[:(len(list)+1)/2] {
		of := s[r]
		if err := into.sketch.MergeWith(of.sketch); err != nil {
			return folded, fmt.Errorf("merge the sketch of %s %s: %w", r.Stage, r.Phase, err)
		}
		into.count += of.count
		into.failed += of.failed
		folded += of.count
		delete(s, r)
	}
	return folded, nil
}

// stored is a row as it is kept.
type stored struct {
	Stage  string `json:"stage"`
	Phase  string `json:"phase"`
	Count  int64  `json:"count"`
	Failed int64  `json:"failed"`
	Sketch []byte `json:"sketch"`
}

// encode gives the rows as they are kept, in at most limit bytes: rows are folded until
// they fit.
func (s sums) encode(limit int) (data []byte, folded int64, err error) {
	for {
		list := make([]stored, 0, len(s))
		for r, of := range s {
			var data []byte
			of.sketch.Encode(&data, false)
			list = append(list, stored{r.Stage, r.Phase, of.count, of.failed, data})
		}
		if data, err = json.Marshal(list); err != nil {
			return nil, folded, fmt.Errorf("encode %d rows: %w", len(list), err)
		}
		if len(data) <= limit {
			return data, folded, nil
		}
		if len(s) <= 1 {
			return nil, folded, fmt.Errorf("encode %d rows: they have %d bytes, more than %d", len(list), len(data), limit)
		}
		more, err := s.fold()
		if err != nil {
			return nil, folded, err
		}
		folded += more
	}
}

// merge adds what was encoded.
func (s sums) merge(data []byte) error {
	var list []stored
	if err := json.Unmarshal(data, &list); err != nil {
		return fmt.Errorf("decode rows: %w", err)
	}
	for _, one := range list {
		at, _, err := s.at(row{one.Stage, one.Phase})
		if err != nil {
			return err
		}
		if err := at.sketch.DecodeAndMergeWith(one.Sketch); err != nil {
			return fmt.Errorf("decode the sketch of %s %s: %w", one.Stage, one.Phase, err)
		}
		at.count += one.Count
		at.failed += one.Failed
	}
	return nil
}

// quantile is zero for a row without values.
func (s *sum) quantile(q float64) time.Duration {
	if s == nil || s.count == 0 {
		return 0
	}
	v, err := s.sketch.GetValueAtQuantile(q)
	if err != nil {
		return 0
	}
	return time.Duration(v * float64(time.Second))
}
