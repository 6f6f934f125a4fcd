// Command recovery-job finds the jobs that are stuck, judges them on evidence,
// and closes or resumes them, so that no user stays blocked.
package main

import (
	"os"

	"github.com/envision/resiliency/services/recovery-job/internal/app"
)

func main() { os.Exit(app.Main(os.Args[1:], os.Stdout, os.Stderr)) }
