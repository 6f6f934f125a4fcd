package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"cloud.google.com/go/firestore"
	"sigs.k8s.io/yaml"

	"github.com/envision/resiliency/test/stack"
)

type jobCmd struct {
	Dir string `default:".run" help:"Run directory."`
	ID  string `arg:"" help:"Job id: the value of the label resiliency.envision.dev/job-id."`
	All bool   `help:"Show what the record keeps for merging too."`
}

// Run prints a job's record as it is stored; it is an error if there is none.
func (c *jobCmd) Run(ctx context.Context) (err error) {
	vars, err := runningEnv(c.Dir)
	if err != nil {
		return err
	}
	client, err := stack.OpenFirestore(ctx, vars)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	jobs := client.Collection("jobs")
	docs, err := jobs.Where(firestore.DocumentID, "==", jobs.Doc(c.ID)).Documents(ctx).GetAll()
	if err != nil {
		return fmt.Errorf("read the record of job %s: %w", c.ID, err)
	}
	if len(docs) == 0 {
		return fmt.Errorf("there is no record of job %q: does the Job carry the label with this value, in a watched namespace?", c.ID)
	}
	record := docs[0].Data()
	if !c.All {
		delete(record, "merge")
	}
	text, err := yaml.Marshal(record)
	if err != nil {
		return fmt.Errorf("print the record of job %s: %w", c.ID, err)
	}
	_, err = os.Stdout.Write(text)
	return err //nolint:wrapcheck // standard output needs no explanation
}
