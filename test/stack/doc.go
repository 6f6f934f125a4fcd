// Package stack starts and stops on one machine everything that the services
// need: a Kubernetes control plane (API server, controllers and scheduler as
// released, nodes and pods simulated by KWOK), Google's Firestore and Pub/Sub
// emulators behind a counting and fault-injecting proxy, a GCS server, a Slack
// stand-in, and the services themselves as processes. Tests, demo, benchmarks
// and `make up` all use it; each part can be killed, paused and restarted.
//
// Everything of a run lives below one run directory: logs/<name>.log,
// pids/<name>.pid and kwok/. One process at a time may use it.
//
// It never listens beyond loopback, never keeps data over a restart, and never
// touches a process or a cluster that it did not start.
package stack
