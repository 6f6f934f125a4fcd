package stack

import (
	"fmt"
	"os"
	"path/filepath"
)

// Services is the table of the product's services as one machine runs them;
// binDir holds their programs (.run/bin, or .run/bin-race with race detector).
// A service that is added to the product is one row here.
func Services(binDir string) []ServiceSpec {
	table := []ServiceSpec{
		{Name: "status-updater"},
		{Name: "event-streamer"},
	}
	for i := range table {
		table[i].Binary = filepath.Join(binDir, table[i].Name)
	}
	return table
}

// CheckBinaries names every service whose program is missing.
func CheckBinaries(specs []ServiceSpec) error {
	var missing []string
	for _, spec := range specs {
		if _, err := os.Stat(spec.Binary); err != nil {
			missing = append(missing, spec.Binary)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("programs %v are missing: run `make build` first", missing)
	}
	return nil
}
