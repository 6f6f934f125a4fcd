package stack

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// WitnessName is the log witness's, here and as a Deployment and a container in
// the manifests.
const WitnessName = "event-streamer-witness"

// Services is the table of the product's services as one machine runs them;
// binDir holds their programs (.run/bin, or .run/bin-race with race detector).
// A service that is added to the product is one row here; its program is that
// of its name unless the row says another.
func Services(binDir string) []ServiceSpec {
	table := []ServiceSpec{
		// The first heartbeat is written before messages can come, and recovery-job
		// concludes nothing from silence until the next one.
		{Name: "status-updater", Env: []string{"HEARTBEAT_EVERY=5s"}},
		{Name: "event-streamer"},
		{Name: WitnessName, Binary: "event-streamer", Env: []string{"PUBLISH=log"}},
		DLQHandler(),
		{Name: "phase-tracer", ListenEnv: "HTTP_ADDR", Links: map[string]string{"LETTERS_URL": "dlq-handler"}},
	}
	for i := range table {
		table[i].Binary = filepath.Join(binDir, cmp.Or(table[i].Binary, table[i].Name))
	}
	return table
}

// DLQHandler is the row of dlq-handler. Here a message uses up its attempts
// within ten seconds, and as much sooner a dependency counts as healthy again.
func DLQHandler() ServiceSpec {
	return ServiceSpec{
		Name: "dlq-handler", Binary: "dlq-handler", ListenEnv: "HTTP_ADDR",
		Env: []string{"AUTO_REPLAY_AFTER=30s", "AUTO_REPLAY_EVERY=5s"},
	}
}

// RecoveryJob is the row of recovery-job, which works and ends: in production a
// CronJob starts it, here Project.StartRun does.
func RecoveryJob(binDir string) ServiceSpec {
	return ServiceSpec{Name: "recovery-job", Binary: filepath.Join(binDir, "recovery-job")}
}

// Programs are all programs of the product, those that end by themselves too.
func Programs(binDir string) []ServiceSpec { return append(Services(binDir), RecoveryJob(binDir)) }

// CheckBinaries names every program that is missing.
func CheckBinaries(specs []ServiceSpec) error {
	var missing []string
	for _, spec := range specs {
		if _, err := os.Stat(spec.Binary); err != nil && !slices.Contains(missing, spec.Binary) {
			missing = append(missing, spec.Binary)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("programs %v are missing: run `make build` first", missing)
	}
	return nil
}
