package ledger

import (
	"encoding/json"
	"fmt"
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
	// maxRows bounds a bucket; what does not fit is counted as others.
	maxRows = 400
	// others is the phase of what did not fit.
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

func (s sums) at(r row) (*sum, error) {
	if known := s[r]; known != nil {
		return known, nil
	}
	if len(s) >= maxRows {
		r = row{Phase: others}
		if known := s[r]; known != nil {
			return known, nil
		}
	}
	made, err := newSum()
	if err != nil {
		return nil, err
	}
	s[r] = made
	return made, nil
}

func (s sums) add(r row, took time.Duration, failed bool) error {
	at, err := s.at(r)
	if err != nil {
		return err
	}
	if err := at.sketch.Add(took.Seconds()); err != nil {
		return fmt.Errorf("add %s to a sketch: %w", took, err)
	}
	at.count++
	if failed {
		at.failed++
	}
	return nil
}

// stored is a row as it is kept.
type stored struct {
	Stage  string `json:"stage"`
	Phase  string `json:"phase"`
	Count  int64  `json:"count"`
	Failed int64  `json:"failed"`
	Sketch []byte `json:"sketch"`
}

func (s sums) encode() ([]byte, error) {
	list := make([]stored, 0, len(s))
	for r, of := range s {
		var data []byte
		of.sketch.Encode(&data, false)
		list = append(list, stored{r.Stage, r.Phase, of.count, of.failed, data})
	}
	return json.Marshal(list) //nolint:wrapcheck // the caller says of what
}

// merge adds what was encoded.
func (s sums) merge(data []byte) error {
	var list []stored
	if err := json.Unmarshal(data, &list); err != nil {
		return fmt.Errorf("decode rows: %w", err)
	}
	for _, one := range list {
		at, err := s.at(row{one.Stage, one.Phase})
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
