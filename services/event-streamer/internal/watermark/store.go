package watermark

import (
	"context"
	"fmt"
	"maps"
	"strconv"

	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

// Identity says what a watermark is about. One that differs in any of it says
// nothing: resource versions of another cluster mean other objects, events of
// another cluster name have other ids, and what one receiver has, another lacks.
type Identity struct {
	// ClusterUID is the uid of namespace kube-system.
	ClusterUID string
	// Cluster is the configured name.
	Cluster string
	// Receiver is where facts are confirmed: "pubsub/<project>" or "log".
	Receiver string
}

// The keys of the ConfigMap beside the streams, none of which begins so.
const (
	keyUID      = "cluster_uid"
	keyCluster  = "cluster"
	keyReceiver = "receiver"
	// keyStream leads the keys of streams.
	keyStream = "stream."
)

// Store keeps a watermark in a ConfigMap. It is for one goroutine at a time.
type Store struct {
	client   typedcorev1.ConfigMapInterface
	name     string
	identity Identity
	log      zerolog.Logger

	// exists says whether the ConfigMap was there at the last call, version is its
	// resource version then, and saved what it held.
	exists  bool
	version string
	saved   fact.Levels
}

// NewStore returns a Store that makes no call yet.
func NewStore(client typedcorev1.ConfigMapInterface, name string, identity Identity, log zerolog.Logger) *Store {
	return &Store{client: client, name: name, identity: identity, log: log}
}

// Load reads the watermark: nil if there is none, or one of another identity.
func (s *Store) Load(ctx context.Context) (fact.Levels, error) {
	s.exists, s.version, s.saved = false, "", nil
	object, err := s.client.Get(ctx, s.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load watermark %s: %w", s.name, err)
	}
	s.exists, s.version = true, object.ResourceVersion
	found := Identity{ClusterUID: object.Data[keyUID], Cluster: object.Data[keyCluster], Receiver: object.Data[keyReceiver]}
	if found != s.identity {
		s.log.Warn().Str("watermark", s.name).
			Str("cluster_uid", found.ClusterUID).Str("cluster", found.Cluster).Str("receiver", found.Receiver).
			Msg("the watermark is not about this cluster and receiver; publishing everything")
		return nil, nil
	}
	s.saved = read(object.Data)
	return maps.Clone(s.saved), nil
}

// Save writes the watermark, unless it is there already. A conflict means that
// another process wrote: the next Save, if there is one, goes over it, since a
// lower watermark is safe and each process knows only its own to be true.
func (s *Store) Save(ctx context.Context, levels fact.Levels) error {
	if s.exists && s.saved != nil && maps.Equal(levels, s.saved) {
		return nil
	}
	object := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: s.name, ResourceVersion: s.version},
		Data:       s.data(levels),
	}
	var err error
	if !s.exists {
		object, err = s.client.Create(ctx, object, metav1.CreateOptions{})
	} else {
		object, err = s.client.Update(ctx, object, metav1.UpdateOptions{})
	}
	switch {
	case err == nil:
		s.exists, s.version, s.saved = true, object.ResourceVersion, maps.Clone(levels)
		return nil
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), apierrors.IsNotFound(err):
		_, loadErr := s.Load(ctx)
		if loadErr != nil {
			err = loadErr
		}
	}
	return fmt.Errorf("save watermark %s: %w", s.name, err)
}

func (s *Store) data(levels fact.Levels) map[string]string {
	data := map[string]string{
		keyUID: s.identity.ClusterUID, keyCluster: s.identity.Cluster, keyReceiver: s.identity.Receiver,
	}
	for stream, level := range levels {
		if level > 0 {
			data[keyStream+string(stream)] = strconv.FormatUint(level, 10)
		}
	}
	return data
}

// read takes the streams; what is no number is taken for absent, which makes
// its stream be published again.
func read(data map[string]string) fact.Levels {
	levels := fact.Levels{}
	for key, value := range data {
		if len(key) > len(keyStream) && key[:len(keyStream)] == keyStream {
			if level := fact.Version(value); level > 0 {
				levels[fact.Stream(key[len(keyStream):])] = level
			}
		}
	}
	return levels
}
