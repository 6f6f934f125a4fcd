package service

import (
	"os"
	"strings"
	"testing"
)

func TestInstanceName_TellsProcessesApart(t *testing.T) {
	t.Parallel()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	a, b := InstanceName("s"), InstanceName("s")
	if a == b || !strings.HasPrefix(a, host+"-") || len(a) != len(host)+9 {
		t.Errorf("two processes on %s are called %q and %q", host, a, b)
	}
}
