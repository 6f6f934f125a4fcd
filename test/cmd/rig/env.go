package main

import "fmt"

type envCmd struct {
	Dir string `default:".run" help:"Run directory."`
}

// Run prints the env file of the running system.
func (c *envCmd) Run() error {
	vars, err := runningEnv(c.Dir)
	if err != nil {
		return err
	}
	fmt.Print(vars.Shell())
	return nil
}
