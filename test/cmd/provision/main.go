// Command provision creates the topics and subscriptions of a project from the
// table in pkg/messaging/topology. docker compose runs it before the services;
// a real project gets them from Terraform instead. It never deletes anything.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"github.com/alecthomas/kong"

	"github.com/envision/resiliency/pkg/messaging/topology"
)

type cli struct {
	Project string        `env:"GOOGLE_CLOUD_PROJECT" required:"" help:"Google Cloud project (${env})."`
	Profile string        `enum:"production,local" default:"local" help:"Settings of the subscriptions: ${enum}."`
	Wait    time.Duration `default:"60s" help:"How long to wait for Pub/Sub to answer."`
}

func main() {
	var c cli
	kong.Parse(&c, kong.Name("provision"), kong.Description("Creates topics and subscriptions that are missing."))
	if err := c.run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "provision:", err)
		os.Exit(1)
	}
	fmt.Printf("project %s has all topics and subscriptions\n", c.Project)
}

func (c *cli) run(ctx context.Context) (err error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	client, err := pubsub.NewClient(ctx, c.Project)
	if err != nil {
		return fmt.Errorf("create Pub/Sub client: %w", err)
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	// The client itself tries again while Pub/Sub is not there yet.
	return topology.Provision(ctx, client, c.Project, topology.Profile(c.Profile))
}
