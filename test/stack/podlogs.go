package stack

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// What the containers of simulated pods "said". KWOK serves it whatever became of
// the pod, and goes by the container's name: every pod of JobSpec has one, "work".
// A container that is given the name "chatty" has said much more.
//
//go:embed podlog.txt
var workLog string

// LogSecret is a password that every container's log holds.
const LogSecret = "correct-horse-7"

// PreviousLog is what a container said before its restart.
const PreviousLog = "worker 1 starting\nretrying after exit code 3\n"

// ChattyContainer is the name of a container whose log is ChattyLines long, about
// 1.5 MB.
const (
	ChattyContainer = "chatty"
	ChattyLines     = 20_000
)

func chattyLog() string {
	var b strings.Builder
	for i := range ChattyLines {
		fmt.Fprintf(&b, "step %05d of %d: loss 0.%04d, learning rate 0.001\n", i+1, ChattyLines, 9999-i%9999)
	}
	return b.String()
}

// logsConfig has KWOK serve the logs: these files, in the format of CRI.
const logsConfig = `---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: ClusterLogs
metadata:
  name: containers
spec:
  logs:
  - containers: [work]
    logsFile: %q
    previousLogsFile: %q
  - containers: [chatty]
    logsFile: %q
`

// writePodLogs writes the files and returns their configuration.
func (c *cluster) writePodLogs() ([]byte, error) {
	dir := filepath.Join(c.workdir(), "podlogs")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create a folder for the logs of pods: %w", err)
	}
	now, before, chatty := filepath.Join(dir, "work.log"), filepath.Join(dir, "work-previous.log"), filepath.Join(dir, "chatty.log")
	for path, text := range map[string]string{now: workLog, before: PreviousLog, chatty: chattyLog()} {
		if err := os.WriteFile(path, []byte(criLog(text)), 0o644); err != nil {
			return nil, fmt.Errorf("write the log of pods: %w", err)
		}
	}
	return fmt.Appendf(nil, logsConfig, now, before, chatty), nil
}

// criLog is a text in the format that a container runtime writes: time, stream,
// F for a full line.
func criLog(text string) string {
	var b strings.Builder
	at := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	for line := range strings.Lines(text) {
		at = at.Add(1500 * time.Millisecond)
		fmt.Fprintf(&b, "%s stdout F %s\n", at.Format("2006-01-02T15:04:05.000000000Z07:00"), strings.TrimSuffix(line, "\n"))
	}
	return b.String()
}
