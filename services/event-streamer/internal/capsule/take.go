package capsule

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/envision/resiliency/pkg/resilience"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/event-streamer/internal/capsule/content"
)

const (
	// maxEvents is how many Events are asked for, of the pod and of its Job each;
	// the newest of them are kept. The API server gives the oldest first.
	maxEvents = 500
	// storeTimeout bounds the write to the bucket. It is not taken from the time
	// for the cluster, which a hanging node uses up.
	storeTimeout = 5 * time.Second
)

var errAnotherPod = errors.New("another pod has its name now")

// taken is a capsule; its phase is nil when it came too late.
type taken struct{ phase *resiliencyv1.PhaseEvent }

// take gets what there is and makes the phase of it. It fails only for a Job
// that no fact can be about.
func (p *Pool) take(ctx context.Context, f *failure) (taken, error) {
	head, err := p.mapper.Head(f.job)
	if err != nil {
		return taken{}, fmt.Errorf("take a capsule of pod %s/%s: %w", f.pod.Namespace, f.pod.Name, err)
	}
	failure := content.Failure{Head: head, Pod: f.pod, At: f.at}
	found := p.find(ctx, f)
	if bare(found) && p.inherited(f) {
		// Not even to the bucket: the former leader's would be lost there.
		return taken{}, nil
	}
	capsule := p.fit(ctx, found, failure.Object())
	if capsule.GetIncomplete() != "" {
		p.log.Info().Str("job_id", head.JobID).Str("namespace", f.pod.Namespace).Str("pod", f.pod.Name).
			Str("event_id", failure.EventID()).Str("missing", capsule.GetIncomplete()).Msg("capsule is incomplete")
	}
	return taken{phase: failure.Phase(capsule)}, nil
}

// bare says that the pod or its logs were no longer there.
func bare(found *content.Found) bool {
	return found.Status == nil || len(found.Logs) == 0 && len(found.Missing) > 0
}

// find asks the cluster, for what is quick before what may hang.
func (p *Pool) find(ctx context.Context, f *failure) *content.Found {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	found := &content.Found{Pod: f.pod.Name, Node: f.pod.Node}
	pod, err := p.pod(ctx, f)
	if err != nil {
		found.Lack("pod", why(err))
	} else {
		found.Status, found.Node = &pod.Status, pod.Spec.NodeName
	}
	for _, about := range []struct {
		what string
		uid  types.UID
		// A Job has an Event for every pod that was made: only warnings tell more.
		warnings bool
	}{{"events of the pod", f.pod.UID, false}, {"events of the job", f.job.UID, true}} {
		events, err := p.cluster.Events(ctx, f.pod.Namespace, about.uid, about.warnings, maxEvents)
		if err != nil {
			found.Lack(about.what, why(err))
		}
		found.Events = append(found.Events, events...)
	}
	if pod != nil {
		p.logs(ctx, pod, found)
	}
	return found
}

// pod asks for the pod, again while the API server is away for a moment: without
// the pod there is not much to save.
func (p *Pool) pod(ctx context.Context, f *failure) (pod *corev1.Pod, err error) {
	retry := resilience.Backoff{Initial: 300 * time.Millisecond, Max: 3 * time.Second}
	err = retry.Retry(ctx, func(ctx context.Context) error {
		pod, err = p.cluster.Pod(ctx, f.pod.Namespace, f.pod.Name)
		if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
			return resilience.Permanent(err)
		}
		return err //nolint:wrapcheck // the capsule says what was asked for
	})
	if err != nil {
		return nil, err //nolint:wrapcheck // as above
	}
	if pod.UID != f.pod.UID {
		return nil, errAnotherPod
	}
	return pod, nil
}

func (p *Pool) draft(found *content.Found) *content.Draft {
	p.redacting.Lock()
	defer p.redacting.Unlock()
	return found.Draft()
}

// fit cuts what was found to the size of an event. What is cut goes to the
// bucket, if there is one.
func (p *Pool) fit(ctx context.Context, found *content.Found, object string) *resiliencyv1.FailureCaptured {
	draft := p.draft(found)
	cut := draft.Capsule(content.InEvent())
	if p.store == nil {
		return cut
	}
	whole := draft.Capsule(content.InBucket())
	if proto.Equal(cut, whole) {
		return cut
	}
	data, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(whole)
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, storeTimeout)
		defer cancel()
		var uri string
		if uri, err = p.store.Put(ctx, object, data); err == nil {
			cut.Uri = uri
		}
	}
	if err != nil {
		found.Lack("what is cut here, in the bucket", why(err))
		cut.Incomplete = found.Incomplete()
		return cut
	}
	p.metrics.bytes.WithLabelValues(keptBucket).Observe(float64(len(data)))
	return cut
}
