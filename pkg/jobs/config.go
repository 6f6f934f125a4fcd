package jobs

import (
	"io"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"google.golang.org/api/option"
)

// Environment variables that FromEnvironment and JoinFromEnvironment read.
// docs/examples/sdk-job.yaml sets those of a container.
const (
	// EnvProject is the GCP project of the topics; without it the SDK does nothing.
	EnvProject = "RESILIENCY_PROJECT_ID"
	// EnvJobID, EnvAttempt and EnvCorrelationID name the run that a container is for.
	EnvJobID         = "RESILIENCY_JOB_ID"
	EnvAttempt       = "RESILIENCY_ATTEMPT"
	EnvCorrelationID = "RESILIENCY_CORRELATION_ID"
	// EnvCluster, EnvNamespace, EnvKubernetesJob and EnvKubernetesUID name the
	// Kubernetes Job that a container belongs to.
	EnvCluster       = "RESILIENCY_CLUSTER"
	EnvNamespace     = "RESILIENCY_NAMESPACE"
	EnvKubernetesJob = "RESILIENCY_KUBERNETES_JOB"
	EnvKubernetesUID = "RESILIENCY_KUBERNETES_JOB_UID"
	// EnvPod is the name of the container's pod.
	EnvPod = "RESILIENCY_POD"
	// EnvTraceParent and EnvTraceState are the W3C trace context, as
	// OpenTelemetry names them where it is passed by environment.
	EnvTraceParent = "TRACEPARENT"
	EnvTraceState  = "TRACESTATE"
)

const (
	// DefaultBuffer is how many events may wait, and as many may be on their way.
	DefaultBuffer = 1024
	// DefaultRetry is for how long an event is tried while Pub/Sub does not take it.
	DefaultRetry = 10 * time.Minute
	// confirmWithin bounds Create where its context does not.
	confirmWithin = 30 * time.Second
)

// Config sets up a Client. Only ProjectID is needed.
type Config struct {
	// ProjectID is the GCP project of the topics. Without it the client does
	// nothing but check what it is given.
	ProjectID string
	// Output takes the printed lines; os.Stdout by default, io.Discard for none.
	// Each line is one Write.
	Output io.Writer
	// Buffer is how many events may wait; DefaultBuffer by default.
	Buffer int
	// Retry is for how long an event is tried while Pub/Sub does not take it;
	// DefaultRetry by default. Create gives up sooner.
	Retry time.Duration
	// Reporter names the process to people; the host's name by default.
	Reporter string
	// Instance tells this process from all others that report on the same job,
	// such as the pods of one Job; a new name by default. Phases of two
	// instances are never taken for one.
	Instance string
	// Registerer takes the metrics; nil for none.
	Registerer prometheus.Registerer
	// Log takes what goes wrong; by default nothing is logged.
	Log zerolog.Logger
	// Options are for the connection to Pub/Sub, such as other credentials.
	Options []option.ClientOption
	// Now is the clock, which many goroutines ask; time.Now by default.
	Now func() time.Time
}

// ConfigFromEnvironment is the configuration that the variables above give. It
// logs to stderr what goes wrong.
func ConfigFromEnvironment() Config {
	return Config{
		ProjectID: os.Getenv(EnvProject), Reporter: os.Getenv(EnvPod),
		Log: zerolog.New(os.Stderr).Level(zerolog.WarnLevel).With().Timestamp().Logger(),
	}
}

func (c Config) withDefaults() Config {
	if c.Output == nil {
		c.Output = os.Stdout
	}
	if c.Buffer <= 0 {
		c.Buffer = DefaultBuffer
	}
	if c.Retry <= 0 {
		c.Retry = DefaultRetry
	}
	if c.Reporter == "" {
		c.Reporter, _ = os.Hostname() // a name for people, that may be missing
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}
