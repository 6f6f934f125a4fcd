package capsule

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/envision/resiliency/pkg/job"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/event-streamer/internal/capsule/content"
)

const (
	// maxLines is how many lines of a log are asked for.
	maxLines = 1000
	// maxLogs is how many logs of one pod are read.
	maxLogs = 8
	// maxLog is how many bytes of one log are kept for the bucket.
	maxLog = 64 << 10
)

// logRef is one log of a pod.
type logRef struct {
	container string
	previous  bool
}

func (l logRef) String() string {
	if l.previous {
		return "log of container " + l.container + " before its restart"
	}
	return "log of container " + l.container
}

// logs reads the logs of a pod into what was found.
func (p *Pool) logs(ctx context.Context, pod *corev1.Pod, found *content.Found) {
	refs := logsOf(pod)
	if n := len(refs) - maxLogs; n > 0 {
		found.Lack("logs", "only the most telling are kept")
		refs = refs[:maxLogs]
	}
	node := pod.Spec.NodeName
	for _, ref := range refs {
		if until, known := p.silent.Get(node); known && time.Now().Before(until) {
			found.Lack(ref.String(), "node "+node+" did not answer a moment ago")
			continue
		}
		tail, err := p.readLog(ctx, pod, ref)
		if timedOut(err) && ctx.Err() == nil {
			p.silent.Add(node, time.Now().Add(silentFor))
		}
		if excuse, ok := kubeletExcuse(tail.Text); ok {
			found.Lack(ref.String(), excuse)
			continue
		}
		if err != nil {
			found.Lack(ref.String(), why(err))
		}
		if err == nil || tail.Text != "" {
			found.Logs = append(found.Logs, &resiliencyv1.ContainerLog{
				Container: ref.container, Previous: ref.previous, Tail: tail.Text, Truncated: tail.Truncated,
			})
		}
	}
}

// readLog reads one log, within half the time of a capsule.
func (p *Pool) readLog(ctx context.Context, pod *corev1.Pod, ref logRef) (content.Tail, error) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout/2)
	defer cancel()
	limit := maxLog
	if p.store == nil {
		limit = content.InEvent().Logs
	}
	// One more than wanted, to know whether there are more.
	stream, err := p.cluster.Log(ctx, pod.Namespace, pod.Name, ref.container, ref.previous, maxLines+1)
	if err != nil {
		return content.Tail{}, err //nolint:wrapcheck // the capsule says what was asked for
	}
	defer func() { _ = stream.Close() }() // nothing was written
	raw, err := content.Read(stream, limit)
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	p.redacting.Lock()
	defer p.redacting.Unlock()
	return raw.Tail(maxLines), err
}

// logsOf names the logs that a pod has, the most telling first. A container that
// has never run has none.
func logsOf(pod *corev1.Pod) []logRef {
	all := slices.Concat(pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses)
	slices.SortStableFunc(all, func(a, b corev1.ContainerStatus) int { return content.Rank(&a) - content.Rank(&b) })
	var refs []logRef
	for i := range all {
		s := &all[i]
		if s.State.Terminated != nil || s.State.Running != nil {
			refs = append(refs, logRef{s.Name, false})
		}
		if s.LastTerminationState.Terminated != nil {
			refs = append(refs, logRef{s.Name, true})
		}
	}
	return refs
}

// kubeletExcuse knows the sentences that a kubelet writes where the log would be.
func kubeletExcuse(text string) (excuse string, ok bool) {
	if strings.Contains(text, "\n") {
		return "", false
	}
	for _, prefix := range []string{"unable to retrieve container logs for ", "failed to try resolving symlinks in path "} {
		if strings.HasPrefix(text, prefix) {
			return text, true
		}
	}
	return "", false
}

func timedOut(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err)
}

// maxWhy keeps the reason why something is missing short.
const maxWhy = 200

// why says in a few words why something could not be got.
func why(err error) string {
	switch {
	case apierrors.IsNotFound(err):
		return "it was gone"
	case apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err):
		return "not permitted"
	case timedOut(err):
		return "no answer in time"
	case errors.Is(err, context.Canceled):
		return "the process was ending"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the answer broke off"
	default:
		return job.Cut(err.Error(), maxWhy)
	}
}
