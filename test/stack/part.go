package stack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Names of the parts that can be killed, paused and restarted.
const (
	PartEtcd              = "etcd"
	PartAPIServer         = "kube-apiserver"
	PartControllerManager = "kube-controller-manager"
	PartScheduler         = "kube-scheduler"
	PartKwok              = "kwok-controller"
	PartFirestore         = "firestore"
	PartPubSub            = "pubsub"
)

// ErrExternal answers an order to an emulator that was running before the
// stack: it is somebody else's.
var ErrExternal = errors.New("not started by this stack")

// Part is one piece of the stack that a test may break. An emulator that was
// killed has lost its data when it is back; etcd keeps its own.
type Part interface {
	// Name is one of the Part constants.
	Name() string
	// LogPath is the file with the part's own output.
	LogPath() string
	// Kill ends the part as a crash would (SIGKILL) and waits for its end.
	Kill() error
	// Pause stops it where it stands (SIGSTOP); connections stay open.
	Pause() error
	// Resume lets it go on.
	Resume() error
	// Restart starts it again (killing it first if it runs) at the same address
	// and waits until it answers.
	Restart(ctx context.Context) error
}

// Part returns a part by name.
func (s *Stack) Part(name string) (Part, error) {
	if part, ok := s.parts[name]; ok {
		return part, nil
	}
	return nil, fmt.Errorf("no part %q; there are %v", name, s.Parts())
}

// Parts lists the names of all parts, sorted.
func (s *Stack) Parts() []string { return slices.Sorted(maps.Keys(s.parts)) }
