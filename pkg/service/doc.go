// Package service turns a function into a well-behaved process: configuration
// from flags and environment with all errors told at once, JSON logs in Cloud
// Logging's field names, an admin server with /livez, /readyz and /metrics,
// start-up checks, supervised workers, and a shutdown that keeps to a budget.
//
// A service's main is one line:
//
//	os.Exit(service.Main(service.Spec{Name: "status-updater"}, os.Args[1:], app.Run))
//
// Exit codes: 0 the work ended or was told to end, 1 it failed or hung, 2 the
// configuration is wrong.
//
// The package knows no cloud client and no job; what a dependency is and how to
// check it is told by the service.
package service
