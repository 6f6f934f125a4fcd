package rules

import (
	"reflect"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// Replicas on one node go with it together.
func TestManifests_spread_replicas(t *testing.T) {
	t.Parallel()
	for _, m := range manifests(t) {
		d, ok := m.object.(*appsv1.Deployment)
		if !ok || d.Spec.Replicas == nil || *d.Spec.Replicas < 2 {
			continue
		}
		if !slices.ContainsFunc(d.Spec.Template.Spec.TopologySpreadConstraints, func(c corev1.TopologySpreadConstraint) bool {
			return c.TopologyKey == corev1.LabelHostname && reflect.DeepEqual(c.LabelSelector, d.Spec.Selector)
		}) {
			t.Errorf("%s: the replicas of %s are not spread over nodes by the Deployment's own selector", m.file, d.Name)
		}
	}
}
