//go:build integration

package source_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/envision/resiliency/pkg/kube"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/event-streamer/internal/fact"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// system is a namespace of a real API server, with a node whose kubelet is the
// test's own: it answers for logs whatever a test wants of it.
type system struct {
	t         *testing.T
	client    kubernetes.Interface
	config    *rest.Config
	namespace string
	node      string
	kubelet   *httptest.Server
	job       *batchv1.Job
}

// logs answers for the log of a container.
type logs func(w http.ResponseWriter, r *http.Request, container string, previous bool)

func newSystem(t *testing.T, answer logs) *system {
	t.Helper()
	s := &system{t: t}
	s.config, s.client = connect(t, "")
	s.kubelet = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.Split(strings.Trim(r.URL.Path, "/"), "/") // containerLogs, namespace, pod, container
		if len(path) != 4 || path[0] != "containerLogs" {
			http.NotFound(w, r)
			return
		}
		answer(w, r, path[3], r.URL.Query().Get("previous") == "true")
	}))
	t.Cleanup(s.kubelet.Close)
	ctx := t.Context()
	ns, err := s.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "capsule-"}}, metav1.CreateOptions{})
	s.must(err)
	s.namespace, s.node = ns.Name, ns.Name
	s.must(s.addNode(ctx))
	manager, one := "test.invalid/nobody", int32(1)
	s.job, err = s.client.BatchV1().Jobs(s.namespace).Create(ctx, &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "train", Labels: map[string]string{kube.LabelJobID: "j-17"}},
		Spec: batchv1.JobSpec{
			ManagedBy: &manager, Parallelism: &one,
			Template: corev1.PodTemplateSpec{Spec: podSpec("", "work")},
		},
	}, metav1.CreateOptions{})
	s.must(err)
	return s
}

func (s *system) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// connect gives a client with all rights, or with those of one user.
func connect(t *testing.T, user string) (*rest.Config, kubernetes.Interface) {
	t.Helper()
	path := os.Getenv("KUBECONFIG")
	if path == "" {
		t.Fatal("KUBECONFIG is not set: integration tests need a cluster")
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	// client-go watches certificate files for ever.
	if err := rest.LoadTLSFiles(config); err != nil {
		t.Fatal(err)
	}
	config.CertFile, config.KeyFile, config.CAFile = "", "", ""
	config.QPS, config.Impersonate.UserName = -1, user
	// A dialer of its own keeps its connections apart from other tests'.
	config.Dial = (&net.Dialer{}).DialContext
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		utilnet.CloseIdleConnectionsFor(client.CoreV1().RESTClient().(*rest.RESTClient).Client.Transport)
	})
	return config, client
}

func (s *system) addNode(ctx context.Context) error {
	host, text, err := net.SplitHostPort(s.kubelet.Listener.Addr().String())
	if err != nil {
		return err
	}
	port, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return err
	}
	// Ready from the start, so that the simulation has nothing to do for it.
	_, err = s.client.CoreV1().Nodes().Create(ctx, &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: s.node},
		Status: corev1.NodeStatus{
			Addresses:       []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: host}, {Type: corev1.NodeInternalIP, Address: host}},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: int32(port)}},
			Conditions: []corev1.NodeCondition{{
				Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now(),
			}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	s.t.Cleanup(func() {
		if err := s.client.CoreV1().Nodes().Delete(context.WithoutCancel(ctx), s.node, metav1.DeleteOptions{}); err != nil {
			s.t.Error(err)
		}
	})
	return nil
}

func podSpec(node string, containers ...string) corev1.PodSpec {
	spec := corev1.PodSpec{
		NodeName: node, RestartPolicy: corev1.RestartPolicyNever,
		Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
	}
	for _, name := range containers {
		spec.Containers = append(spec.Containers, corev1.Container{Name: name, Image: "example.invalid/work:1"})
	}
	return spec
}

// failed makes a pod of the Job whose containers have all ended.
func (s *system) failed(name string, ends ...corev1.ContainerStatus) *corev1.Pod {
	s.t.Helper()
	var names []string
	for i := range ends {
		names = append(names, ends[i].Name)
	}
	controller := true
	pod, err := s.client.CoreV1().Pods(s.namespace).Create(s.t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: s.job.Labels,
			// The simulation runs it and never ends it.
			Annotations:     map[string]string{"sim.resiliency.envision.dev/outcome": "hang"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: s.job.Name, UID: s.job.UID, Controller: &controller}},
		},
		Spec: podSpec(s.node, names...),
	}, metav1.CreateOptions{})
	s.must(err)
	s.await("pod "+name+" to run", func() error {
		pod, err = s.client.CoreV1().Pods(s.namespace).Get(s.t.Context(), name, metav1.GetOptions{})
		if err == nil && pod.Status.Phase != corev1.PodRunning {
			err = errors.New("it is " + string(pod.Status.Phase))
		}
		return err
	})
	patch, err := json.Marshal(map[string]any{"status": corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: ends}})
	s.must(err)
	pod, err = s.client.CoreV1().Pods(s.namespace).Patch(s.t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	s.must(err)
	return pod
}

// ended is how a container ended, just now.
func ended(name, reason string, code int32) corev1.ContainerStatus {
	return corev1.ContainerStatus{
		Name: name, Image: "example.invalid/work:1", ImageID: "sha256:0",
		State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: code, Reason: reason, StartedAt: metav1.Now(), FinishedAt: metav1.Now(),
		}},
	}
}

// says makes an Event of Kubernetes about an object.
func (s *system) says(kind, name string, uid types.UID, reason, message string) {
	s.t.Helper()
	_, err := s.client.CoreV1().Events(s.namespace).Create(s.t.Context(), &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{GenerateName: "e-"},
		InvolvedObject: corev1.ObjectReference{Kind: kind, Namespace: s.namespace, Name: name, UID: uid},
		Type:           corev1.EventTypeWarning, Reason: reason, Message: message, LastTimestamp: metav1.Now(), Count: 1,
	}, metav1.CreateOptions{})
	s.must(err)
}

// await asks again until the API server has caught up.
func (s *system) await(what string, try func() error) {
	s.t.Helper()
	limit := time.Now().Add(30 * time.Second)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(limit) {
			s.t.Fatalf("%s: %v", what, err)
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-s.t.Context().Done():
			s.t.Fatal("the test ended")
		}
	}
}

// sender keeps what it is given.
type sender struct {
	mu   sync.Mutex
	sent map[string]*resiliencyv1.PhaseEvent // by pod
	more chan struct{}
}

func newSender() *sender {
	return &sender{sent: map[string]*resiliencyv1.PhaseEvent{}, more: make(chan struct{}, 1)}
}

func (s *sender) Send(_ context.Context, facts []fact.Fact) []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range facts {
		if e, ok := f.Message().(*resiliencyv1.PhaseEvent); ok {
			s.sent[e.GetFailureCaptured().GetPod()] = e
		}
	}
	select {
	case s.more <- struct{}{}:
	default:
	}
	return make([]error, len(facts))
}

// await waits for the capsule of a pod.
func (s *sender) await(ctx context.Context, pod string) (*resiliencyv1.FailureCaptured, error) {
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for {
		s.mu.Lock()
		e := s.sent[pod]
		s.mu.Unlock()
		if e != nil {
			return e.GetFailureCaptured(), nil
		}
		select {
		case <-s.more:
		case <-limit.C:
			return nil, fmt.Errorf("no capsule of pod %s came", pod)
		case <-ctx.Done():
			return nil, errors.New("the test ended")
		}
	}
}
