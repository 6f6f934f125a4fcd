package kube

import (
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestMapper_factsCarryTheTraceOfTheirJob(t *testing.T) {
	t.Parallel()
	o := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		Name: "j", Namespace: "ml", UID: "u-1", CreationTimestamp: metav1.Now(),
		Labels: map[string]string{LabelJobID: "j-17"}, Annotations: map[string]string{AnnotationTraceParent: "00-a-b-01"},
	}}
	f, err := (&Mapper{Cluster: "c"}).Job(ReadJob(o))
	if err != nil {
		t.Fatal(err)
	}
	if f.TraceParent != "00-a-b-01" || len(f.Observations) == 0 {
		t.Errorf("facts %+v, want the Job's trace", f)
	}
}
