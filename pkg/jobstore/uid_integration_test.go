//go:build integration

package jobstore_test

import (
	"errors"
	"testing"

	"github.com/envision/resiliency/pkg/job"
	"github.com/envision/resiliency/pkg/jobstore"
)

func TestEmulator_FindByUID(t *testing.T) {
	t.Parallel()
	c := client(t)
	for _, id := range []string{"j-1", "j-2", "j-3"} {
		o := claims(id)[0]
		o.Kubernetes.UID, o.Kubernetes.End = "uid-of-"+id, job.StageGoesOn
		if _, err := store(c, "w").Apply(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	reader := store(c, "r")
	found, err := reader.FindByUID(t.Context(), "uid-of-j-2")
	if err != nil || found.Record.JobID != "j-2" || found.Record.Kubernetes.End != job.StageGoesOn {
		t.Errorf("found %+v, error %v", found, err)
	}
	if _, err := reader.FindByUID(t.Context(), "uid-of-j-4"); !errors.Is(err, jobstore.ErrUnknownUID) {
		t.Errorf("nobody's UID: error %v", err)
	}
}
