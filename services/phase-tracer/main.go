// Command phase-tracer stores every phase of every job and every update that went
// out, and shows where a job stands, where it stopped, and why.
package main

import (
	"os"

	"github.com/envision/resiliency/pkg/service"
	"github.com/envision/resiliency/services/phase-tracer/internal/app"
)

func main() {
	os.Exit(service.Main(service.Spec{
		Name:        "phase-tracer",
		Description: "Stores every phase of every job, and shows where a job stands, where it stopped, and why.",
	}, os.Args[1:], app.Run))
}
