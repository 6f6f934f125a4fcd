package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"cloud.google.com/go/storage"
	"github.com/fsouza/fake-gcs-server/fakestorage"
	"google.golang.org/api/option"
)

// The buckets that exist in every stack.
const (
	// OutputBucket takes what jobs write.
	OutputBucket = "resiliency-output"
	// LettersBucket takes the payloads of dead letters that are too large for
	// Firestore.
	LettersBucket = "resiliency-letters"
	// CapsuleBucket takes the capsules of failed pods that are larger than an event.
	CapsuleBucket = "resiliency-capsules"
)

// GCS is a Cloud Storage server in this process. Its objects live in memory.
type GCS struct {
	fake   *fakestorage.Server
	server *http.Server
	addr   string
	log    *os.File
	faults httpFaults
}

func startGCS(logPath string, ports *ports) (*GCS, error) {
	port, err := ports.next()
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return nil, fmt.Errorf("listen for the GCS server: %w", err)
	}
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the GCS server's log: %w", err), listener.Close())
	}
	fake, err := fakestorage.NewServerWithOptions(fakestorage.Options{
		NoListener: true, Writer: log,
		ExternalURL: "http://" + loopback(port), PublicHost: loopback(port),
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the GCS server: %w", err), listener.Close(), log.Close())
	}
	for _, bucket := range []string{OutputBucket, LettersBucket, CapsuleBucket} {
		fake.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: bucket})
	}
	g := &GCS{fake: fake, addr: loopback(port), log: log}
	g.server = &http.Server{Handler: g.faults.before(g.serve), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = g.server.Serve(listener) }() // returns when close is called
	return g, nil
}

func (g *GCS) serve(w http.ResponseWriter, r *http.Request, _ HTTPFault) {
	g.fake.HTTPHandler().ServeHTTP(w, r)
}

// Addr is the value for STORAGE_EMULATOR_HOST, host:port.
func (g *GCS) Addr() string { return g.addr }

// Inject sets a fault behind those already set, of which the first that matches
// a request counts, and returns what ends it.
func (g *GCS) Inject(fault HTTPFault) (remove func()) { return g.faults.inject(fault) }

// Client returns a client of this server; the caller closes it.
func (g *GCS) Client(ctx context.Context) (*storage.Client, error) {
	client, err := storage.NewClient(ctx, option.WithoutAuthentication(),
		option.WithEndpoint("http://"+g.addr+"/storage/v1/"), storage.WithJSONReads())
	if err != nil {
		return nil, fmt.Errorf("client for the GCS server: %w", err)
	}
	return client, nil
}

func (g *GCS) close() error {
	g.fake.Stop()
	return errors.Join(g.server.Close(), g.log.Close())
}
