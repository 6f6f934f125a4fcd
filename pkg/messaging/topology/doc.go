// Package topology is the one table of topics and subscriptions, and the code
// that creates them. Services, local stack, tests and (by a test) the Terraform
// files take names and settings from here.
//
// It never publishes or receives, and it never deletes anything: a deleted
// subscription is lost messages.
package topology
