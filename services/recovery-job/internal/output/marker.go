package output

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/envision/resiliency/pkg/bucket"
	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/services/recovery-job/internal/judge"
)

// claim is whose a marker is.
type claim uint8

const (
	// claimNone: there is no marker.
	claimNone claim = iota
	// claimNobody: it names neither UID nor attempt.
	claimNobody
	// claimOurs: it names this run.
	claimOurs
	// claimForeign: it names another job or run.
	claimForeign
)

// marker is what is known of a marker.
type marker struct {
	claim claim
	at    time.Time
	// old means that it was written before this run began.
	old  bool
	note string
}

func (m *marker) output(f judge.Finding) judge.Output {
	return judge.Output{Probe: judge.Answered, Finding: f, At: m.at, Newest: m.at, Note: m.note}
}

// maxMarker bounds what is read of a marker, in bytes.
const maxMarker = 64 << 10

// marker looks at the marker of a place.
func (p *Prober) marker(ctx context.Context, at place, q *judge.OutputQuery) (marker, error) {
	name := at.prefix + q.Want.Marker
	o, err := p.store.Object(ctx, at.bucket, name)
	if errors.Is(err, bucket.ErrNotFound) {
		return marker{}, nil // the list that follows tells whether the bucket exists
	}
	if err != nil {
		return marker{}, err //nolint:wrapcheck // it says what was looked up
	}
	m := marker{at: o.Updated, old: !q.Started.IsZero() && o.Updated.Before(q.Started)}
	m.claim, m.note = whose(o.Metadata, q)
	if m.claim != claimNobody || o.Size == 0 {
		return m, nil
	}
	if o.Size > maxMarker {
		m.note = fmt.Sprintf("the marker has %d bytes; at most %d are read", o.Size, maxMarker)
		return m, nil
	}
	content, err := p.store.Get(ctx, at.bucket, name, maxMarker)
	if err != nil {
		return marker{}, err //nolint:wrapcheck // it says what was read
	}
	m.claim, m.note = whose(fieldsOf(content), q)
	return m, nil
}

// The names under which a marker says whose it is.
const (
	nameJobID   = "job_id"
	nameAttempt = "attempt"
	nameUID     = "uid"
)

// canonical brings the spellings of a name together: those of a label of the
// product, of metadata (which knows no upper case) and of JSON.
func canonical(name string) string {
	name = name[strings.LastIndexByte(name, '/')+1:]
	switch name = strings.ReplaceAll(strings.ToLower(name), "-", "_"); name {
	case "job_uid", "kubernetes_uid", "kubernetes_job_uid", "k8s_job_uid":
		return nameUID
	case "job_attempt":
		return nameAttempt
	case "jobid":
		return nameJobID
	default:
		return name
	}
}

// whose says whose a marker is by what it carries. Whatever names another makes
// it another's, whatever else it says.
func whose(fields map[string]string, q *judge.OutputQuery) (claim, string) {
	found := claimNobody
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		var want string
		switch canonical(name) {
		case nameJobID:
			want = q.JobID
		case nameAttempt:
			want = strconv.Itoa(int(q.Attempt))
		case nameUID:
			if want = q.UID; want == "" {
				continue // whose UID it is, nobody knows
			}
		default:
			continue
		}
		if value := fields[name]; value != want {
			return claimForeign, job.Cut(fmt.Sprintf("its %s is %q, that of this run is %q", canonical(name), value, want), maxFault)
		}
		if canonical(name) != nameJobID { // every run of the job would say that
			found = claimOurs
		}
	}
	return found, ""
}

// fieldsOf reads the top of a JSON object; nothing of anything else. A text that
// is a UID and nothing more is one.
func fieldsOf(content []byte) map[string]string {
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	var top map[string]any
	if err := decoder.Decode(&top); err != nil {
		text := strings.TrimSpace(string(content))
		if len(text) == uidLength && strings.Count(text, "-") == 4 {
			return map[string]string{nameUID: text}
		}
		return nil
	}
	fields := map[string]string{}
	for name, value := range top {
		switch v := value.(type) {
		case string:
			fields[name] = v
		case json.Number:
			fields[name] = v.String()
		}
	}
	return fields
}

// uidLength is that of a UUID, which every UID of Kubernetes is.
const uidLength = 36
