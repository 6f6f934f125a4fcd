package service

import (
	"os"

	"github.com/google/uuid"
)

// InstanceName is a new name for this process that tells it from all others,
// also from those of the same pod or machine: the host's name, which Linux
// bounds at 64 bytes, or the service's where there is none, and a random part.
func InstanceName(service string) string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = service
	}
	return host + "-" + uuid.NewString()[:8]
}
