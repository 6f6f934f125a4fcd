// Command status-updater merges what all sources say about jobs into their
// records in Firestore, and tells the product of every change.
package main

import (
	"os"

	"github.com/envision/resiliency/pkg/service"
	"github.com/envision/resiliency/services/status-updater/internal/app"
)

func main() {
	os.Exit(service.Main(service.Spec{
		Name:        "status-updater",
		Description: "Merges what all sources say about jobs into their records in Firestore, and publishes updates.",
	}, os.Args[1:], app.Run))
}
