// Command event-streamer watches the labelled Jobs and Pods of a cluster and
// publishes what happens to them.
package main

import (
	"os"

	"github.com/envision/resiliency/pkg/service"
	"github.com/envision/resiliency/services/event-streamer/internal/app"
)

func main() {
	os.Exit(service.Main(service.Spec{
		Name:        "event-streamer",
		Description: "Watches the labelled Jobs and Pods of a cluster and publishes what happens to them.",
	}, os.Args[1:], app.Run))
}
