package proc

import (
	"errors"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// errClosed answers a start after Close.
var errClosed = errors.New("the stack is stopping; no process is started any more")

// Spawner starts children that are killed by the kernel when this process ends,
// however it ends. The kernel ties that to the thread that forked, not to the
// process, so one goroutine keeps one thread for all of them; it ends with
// Close, and then the kernel kills what still runs.
type Spawner struct {
	requests chan spawnRequest
	closing  chan struct{}
	done     chan struct{}
	once     sync.Once
}

type spawnRequest struct {
	cmd   *exec.Cmd
	reply chan error
}

// NewSpawner starts the thread that owns the children.
func NewSpawner() *Spawner {
	s := &Spawner{
		requests: make(chan spawnRequest),
		closing:  make(chan struct{}),
		done:     make(chan struct{}),
	}
	go s.run()
	return s
}

// Start starts cmd in a process group of its own.
func (s *Spawner) Start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	request := spawnRequest{cmd: cmd, reply: make(chan error, 1)}
	select {
	case s.requests <- request:
		return <-request.reply
	case <-s.closing:
		return errClosed
	}
}

// Close ends the thread, and with it every child that still runs.
func (s *Spawner) Close() {
	s.once.Do(func() { close(s.closing) })
	<-s.done
}

func (s *Spawner) run() {
	// Never unlocked: a goroutine that ends while locked takes its thread along.
	runtime.LockOSThread()
	defer close(s.done)
	for {
		select {
		case request := <-s.requests:
			request.reply <- request.cmd.Start()
		case <-s.closing:
			return
		}
	}
}
