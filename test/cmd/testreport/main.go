// Command testreport sums up the test runs that gotestsum kept as JSON files in
// one folder: unit-*.json and integration-*.json. It fails when a test failed, or
// when no integration test ran: a suite that silently runs nothing proves
// nothing.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: testreport FOLDER")
		os.Exit(2)
	}
	runs, err := readFolder(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(1)
	}
	if !report(os.Stdout, runs) {
		os.Exit(1)
	}
}
