package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// The variables by which Google's clients find an emulator.
const (
	envFirestore = "FIRESTORE_EMULATOR_HOST"
	envPubSub    = "PUBSUB_EMULATOR_HOST"
	// envProxies lists the proxy addresses of the run that wrote an env file, so
	// that a shell which sourced it does not hand a dead proxy of ours to the
	// next run as somebody's emulator.
	envProxies = "RESILIENCY_STACK_PROXIES"
)

// errNoEmulators is the sentence for a machine that has none of them.
var errNoEmulators = errors.New("no Firestore and Pub/Sub emulators found: either install Google's " +
	"(`gcloud components install cloud-firestore-emulator pubsub-emulator`, and Java 11 or later), " +
	"or start a Docker engine, which will run them from the image " + emulatorImage)

// readyProject is the project that readiness checks ask about; it stays empty.
const readyProject = "stack-ready"

// emulator is one of Google's emulators, whoever runs it.
type emulator struct {
	Part
	// addr is the emulator's own address, behind the proxy.
	addr string
}

// emulatorKind is what differs between the two.
type emulatorKind struct {
	part  string
	env   string
	java  func(sdk string, port int) ([]string, error)
	image []string
	probe func(ctx context.Context, conn *grpc.ClientConn) error
}

var firestoreKind = emulatorKind{
	part: PartFirestore, env: envFirestore, java: firestoreJava,
	image: []string{"gcloud", "emulators", "firestore", "start", "--host-port=0.0.0.0:8080", "--database-mode=firestore-native"},
	probe: func(ctx context.Context, conn *grpc.ClientConn) error {
		name := "projects/" + readyProject + "/databases/(default)/documents/ready/ready"
		_, err := firestorepb.NewFirestoreClient(conn).GetDocument(ctx, &firestorepb.GetDocumentRequest{Name: name})
		if status.Code(err) == codes.NotFound {
			return nil
		}
		return err
	},
}

var pubsubKind = emulatorKind{
	part: PartPubSub, env: envPubSub, java: pubsubJava,
	image: []string{"gcloud", "emulators", "pubsub", "start", "--host-port=0.0.0.0:8080"},
	probe: func(ctx context.Context, conn *grpc.ClientConn) error {
		_, err := pubsubpb.NewPublisherClient(conn).ListTopics(ctx, &pubsubpb.ListTopicsRequest{Project: "projects/" + readyProject})
		return err
	},
}

// external returns the address of an emulator that runs already, "" for none.
func (k emulatorKind) external(getenv func(string) string) string {
	addr := strings.TrimPrefix(getenv(k.env), "http://")
	if addr == "" || slices.Contains(strings.Split(getenv(envProxies), ","), addr) {
		return ""
	}
	return addr
}

// launcher starts emulators in the best way that this machine offers.
type launcher struct {
	stack *Stack
	sdk   string // root of the Google Cloud SDK with the emulators; "" without
	dock  *docker
}

// Check tells in one sentence if this machine has no way to run the emulators,
// so that nothing is built for minutes before that is found out.
func Check(ctx context.Context) error {
	_, err := findLauncher(ctx)
	return err
}

// newLauncher looks for the ways only if an emulator must be started.
func (s *Stack) newLauncher(ctx context.Context) (*launcher, error) {
	l, err := findLauncher(ctx)
	if err != nil {
		return nil, err
	}
	l.stack = s
	return l, nil
}

func findLauncher(ctx context.Context) (*launcher, error) {
	l := &launcher{}
	if firestoreKind.external(os.Getenv) != "" && pubsubKind.external(os.Getenv) != "" {
		return l, nil
	}
	if sdk := findSDK(ctx); sdk != "" {
		l.sdk = sdk
		return l, nil
	}
	if dock := findDocker(ctx); dock != nil {
		l.dock = dock
		return l, nil
	}
	return nil, errNoEmulators
}

// start starts the emulator, or takes the one that the environment names, and
// waits until it answers.
func (l *launcher) start(ctx context.Context, kind emulatorKind) (*emulator, error) {
	if addr := kind.external(os.Getenv); addr != "" {
		e := &emulator{Part: external{name: kind.part, addr: addr}, addr: addr}
		if err := awaitEmulator(ctx, kind, addr, 10*time.Second, nil); err != nil {
			return nil, fmt.Errorf("%s=%s: %w", kind.env, addr, err)
		}
		return e, nil
	}
	port, err := l.stack.ports.next()
	if err != nil {
		return nil, err
	}
	e := &emulator{addr: loopback(port)}
	if l.sdk != "" {
		e.Part, err = newJavaEmulator(l, kind, port)
	} else {
		e.Part = newContainer(l, kind, port)
	}
	if err != nil {
		return nil, err
	}
	return e, e.Restart(ctx)
}

// awaitEmulator asks until the emulator answers, its process ends (exited may
// be nil) or the time is over.
func awaitEmulator(ctx context.Context, kind emulatorKind, addr string, within time.Duration, exited <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connect to %s: %w", addr, err)
	}
	defer func() { _ = conn.Close() }()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		// A plain dial first: gRPC backs off for a second after a refusal.
		last := dialable(ctx, addr)
		if last == nil {
			if last = probeOnce(ctx, kind, conn); last == nil {
				return nil
			}
		}
		select {
		case <-ticker.C:
		case <-exited:
			return fmt.Errorf("the %s emulator ended before it answered at %s", kind.part, addr)
		case <-ctx.Done():
			return fmt.Errorf("the %s emulator does not answer at %s after %s: %w", kind.part, addr, within, last)
		}
	}
}

func probeOnce(ctx context.Context, kind emulatorKind, conn *grpc.ClientConn) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return kind.probe(ctx, conn)
}

func dialable(ctx context.Context, addr string) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return conn.Close()
}

// external is an emulator that somebody else runs.
type external struct{ name, addr string }

func (e external) Name() string    { return e.name }
func (e external) LogPath() string { return "" }
func (e external) Kill() error     { return e.refuse("kill") }
func (e external) Pause() error    { return e.refuse("pause") }
func (e external) Resume() error   { return e.refuse("resume") }
func (e external) Restart(context.Context) error {
	return e.refuse("restart")
}

func (e external) refuse(what string) error {
	return fmt.Errorf("%s the %s emulator at %s: %w", what, e.name, e.addr, ErrExternal)
}
