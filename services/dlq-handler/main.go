// Command dlq-handler keeps every dead letter, cleans up the job that it is
// about, tells developers, and lets operators inspect and replay it.
package main

import (
	"os"

	"github.com/envision/resiliency/pkg/service"
	"github.com/envision/resiliency/services/dlq-handler/internal/app"
)

func main() {
	os.Exit(service.Main(service.Spec{
		Name:        "dlq-handler",
		Description: "Keeps dead letters, cleans up the jobs that they are about, tells developers, and replays them.",
	}, os.Args[1:], app.Run))
}
