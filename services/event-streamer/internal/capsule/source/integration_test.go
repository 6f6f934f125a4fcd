//go:build integration

package source_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"

	"github.com/envision/resiliency/pkg/kube"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
	"github.com/envision/resiliency/services/event-streamer/internal/capsule"
	"github.com/envision/resiliency/services/event-streamer/internal/capsule/source"
)

// capture runs a pool over client and gives the capsules of the pods.
func (s *system) capture(client kubernetes.Interface, cfg capsule.Config, pods ...*corev1.Pod) []*resiliencyv1.FailureCaptured {
	s.t.Helper()
	out := newSender()
	mapper := &kube.Mapper{Cluster: "c", Source: resiliencyv1.Source_SOURCE_EVENT_STREAMER}
	pool, err := capsule.New(cfg, source.New(client), nil, out, mapper, prometheus.NewRegistry(), zerolog.New(zerolog.NewTestWriter(s.t)))
	s.must(err)
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan error, 1)
	go func() { done <- pool.Run(ctx) }()
	defer func() {
		cancel()
		s.must(<-done)
	}()
	pool.Lead()
	for _, pod := range pods {
		// Each as if of a Job of its own, or only the first and last would be taken.
		owner := kube.ReadJob(s.job)
		if pod != pods[0] {
			owner.UID = pod.UID
		}
		failed := kube.ReadPod(pod)
		failed.EndedAt = time.Now() // not before this process began to lead
		pool.PodSeen(failed, owner, false)
	}
	var all []*resiliencyv1.FailureCaptured
	for _, pod := range pods {
		c, err := out.await(ctx, pod.Name)
		s.must(err)
		all = append(all, c)
	}
	return all
}

func TestIntegration_CapsuleOfEveryLog(t *testing.T) {
	t.Parallel()
	huge := strings.Repeat(strings.Repeat("0123456789", 9)+"\n", 116_000) // 10 MB
	s := newSystem(t, func(w http.ResponseWriter, r *http.Request, container string, previous bool) {
		if got := r.URL.Query().Get("tailLines"); got != "1001" {
			t.Errorf("asked for %s lines", got)
		}
		text := map[string]string{
			"oom": "allocating 9 GiB\n", "exit": "giving up\n", "silent": "", "huge": huge,
			"binary": "\x7fELF\x00\x01\xff\xfe\u202e\x1b[31mred\n", "secret": "password=hunter2 Authorization: Bearer abcdef0123456789abcdef\n",
		}[container]
		if previous {
			text = "before the restart\n"
		}
		_, _ = io.WriteString(w, text) // the API server hangs up when it is done
	})
	restarted := ended("exit", "Error", 3)
	restarted.LastTerminationState = ended("exit", "Error", 1).State
	restarted.RestartCount = 1
	pod := s.failed("train-1", ended("oom", "OOMKilled", 137), restarted, ended("silent", "Error", 1), ended("huge", "Error", 1),
		ended("binary", "Error", 1), ended("secret", "Error", 1))
	s.says("Pod", pod.Name, pod.UID, "BackOff", "restarting with token=abc123def456")
	s.says("Job", s.job.Name, s.job.UID, "BackoffLimitExceeded", "Job has reached the specified backoff limit")
	s.says("Pod", "other", "another-uid", "Pulled", "of another pod")
	c := s.capture(s.client, capsule.Config{}, pod)[0]
	if c.GetIncomplete() != "" || c.GetNode() != s.node {
		t.Errorf("node %s, missing: %s", c.GetNode(), c.GetIncomplete())
	}
	got := map[string]string{}
	for _, l := range c.GetLogs() {
		name := l.GetContainer()
		if l.GetPrevious() {
			name += " previous"
		}
		got[name] = l.GetTail()
		if l.GetTruncated() != (name == "huge") {
			t.Errorf("log %s: truncated %t", name, l.GetTruncated())
		}
		if !utf8.ValidString(l.GetTail()) {
			t.Errorf("log %s is not UTF-8", name)
		}
	}
	if n := len(got["huge"]); n < 10<<10 || n > 24<<10 {
		t.Errorf("%d bytes of the huge log", n)
	}
	delete(got, "huge")
	want := map[string]string{
		"oom": "allocating 9 GiB", "exit": "giving up", "exit previous": "before the restart", "silent": "",
		"binary": "ELF\uFFFDred", "secret": "password=REDACTED Authorization: Bearer REDACTED",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var events []string
	for _, n := range c.GetEvents() {
		events = append(events, n.GetObject()+" "+n.GetReason()+": "+n.GetMessage())
	}
	if len(events) != 2 || !strings.Contains(strings.Join(events, "\n"), "Pod/train-1 BackOff: restarting with token=REDACTED") {
		t.Errorf("events %q", events)
	}
	for _, want := range []string{`"reason":"OOMKilled"`, `"exitCode":137`, `"restartCount":1`} {
		if !strings.Contains(c.GetPodStatusJson(), want) {
			t.Errorf("status %s lacks %s", c.GetPodStatusJson(), want)
		}
	}
}

// Whatever a kubelet does, the capsule comes in time and says so.
func TestIntegration_BrokenKubelet(t *testing.T) {
	t.Parallel()
	s := newSystem(t, func(w http.ResponseWriter, r *http.Request, container string, _ bool) {
		switch container {
		case "down":
			http.Error(w, "kubelet is not well, token=abc123def456", http.StatusInternalServerError)
		case "none":
			_, _ = io.WriteString(w, "unable to retrieve container logs for containerd://12ab")
		case "half":
			// The API server holds back what is less than a few KB.
			_, _ = io.WriteString(w, strings.Repeat("another line\n", 50_000))
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		case "hang":
			<-r.Context().Done()
		}
	})
	pods := []*corev1.Pod{
		s.failed("down", ended("down", "Error", 1)), s.failed("none", ended("none", "Error", 1)), s.failed("half", ended("half", "Error", 1)),
		s.failed("hang", ended("hang", "Error", 1)), s.failed("gone", ended("work", "Error", 1)),
	}
	s.says("Pod", "gone", pods[4].UID, "Killing", "stopping container work")
	s.must(s.client.CoreV1().Pods(s.namespace).Delete(t.Context(), "gone", metav1.DeleteOptions{GracePeriodSeconds: new(int64)}))
	began := time.Now()
	capsules := s.capture(s.client, capsule.Config{Timeout: 4 * time.Second, Workers: 5}, pods...)
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("took %s", took)
	}
	for i, want := range []string{
		"log of container down: ", "log of container none: unable to retrieve container logs for", "log of container half: no answer in time",
		"log of container hang: no answer in time", "pod: it was gone",
	} {
		if got := capsules[i].GetIncomplete(); !strings.HasPrefix(got, want) || strings.Contains(got, "abc123") {
			t.Errorf("%s: missing %q, want %q", pods[i].Name, got, want)
		}
		if status := capsules[i].GetPodStatusJson(); (status == "") != (pods[i].Name == "gone") {
			t.Errorf("%s: status %s", pods[i].Name, status)
		}
	}
	if l := capsules[2].GetLogs(); len(l) != 1 || !strings.HasPrefix(l[0].GetTail(), "another line\nanother line\n") {
		t.Errorf("what was read before the kubelet hung is lost: %v", l)
	}
	if e := capsules[4].GetEvents(); len(e) == 0 || e[0].GetReason() != "Killing" || capsules[4].GetNode() != s.node {
		t.Errorf("of a pod that is gone: node %s, events %v", capsules[4].GetNode(), e)
	}
}

// The roles of the manifests are what it takes, and the witness's may read no log.
func TestIntegration_Rights(t *testing.T) {
	t.Parallel()
	s := newSystem(t, func(w http.ResponseWriter, _ *http.Request, _ string, _ bool) { _, _ = io.WriteString(w, "said\n") })
	pod := s.failed("train-1", ended("work", "Error", 1))
	s.says("Pod", pod.Name, pod.UID, "BackOff", "again")
	publisher, witness := "publisher-"+s.namespace, "witness-"+s.namespace
	for _, role := range s.clusterRoles() {
		subjects := []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: publisher}}
		if role.Name == "event-streamer" {
			subjects = append(subjects, rbacv1.Subject{Kind: rbacv1.UserKind, Name: witness})
		}
		s.bind(role, subjects)
	}
	_, client := connect(t, publisher)
	c := s.capture(client, capsule.Config{}, pod)[0]
	if c.GetIncomplete() != "" || len(c.GetLogs()) != 1 || len(c.GetEvents()) != 1 {
		t.Errorf("the publisher got %d logs, %d events, missing: %s", len(c.GetLogs()), len(c.GetEvents()), c.GetIncomplete())
	}
	_, client = connect(t, witness)
	c = s.capture(client, capsule.Config{}, pod)[0]
	if want := "pod: not permitted; events of the pod: not permitted; events of the job: not permitted"; c.GetIncomplete() != want {
		t.Errorf("the witness got %q, want %q", c.GetIncomplete(), want)
	}
	if _, err := source.New(client).Log(t.Context(), s.namespace, pod.Name, "work", false, 1); err == nil {
		t.Error("the witness may read logs")
	}
}

// clusterRoles are those of the manifests.
func (s *system) clusterRoles() (roles []rbacv1.ClusterRole) {
	s.t.Helper()
	file, err := os.Open("../../../../../deploy/event-streamer/base/cluster-role.yaml")
	s.must(err)
	defer func() { _ = file.Close() }()
	decoder := yaml.NewYAMLOrJSONDecoder(file, 4096)
	for {
		var role rbacv1.ClusterRole
		err := decoder.Decode(&role)
		if errors.Is(err, io.EOF) {
			break
		}
		s.must(err)
		roles = append(roles, role)
	}
	if len(roles) != 2 {
		s.t.Fatalf("%d roles in the manifest, want 2", len(roles))
	}
	return roles
}

// bind gives users the rules of a role in the test's namespace.
func (s *system) bind(role rbacv1.ClusterRole, subjects []rbacv1.Subject) {
	s.t.Helper()
	rbac, ctx := s.client.RbacV1(), s.t.Context()
	_, err := rbac.Roles(s.namespace).Create(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: role.Name}, Rules: role.Rules}, metav1.CreateOptions{})
	s.must(err)
	_, err = rbac.RoleBindings(s.namespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name}, Subjects: subjects,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
	}, metav1.CreateOptions{})
	s.must(err)
	s.await(fmt.Sprintf("role %s", role.Name), func() error {
		_, client := connect(s.t, subjects[0].Name)
		for _, rule := range role.Rules {
			if rule.Resources[0] == "pods" {
				_, err := client.CoreV1().Pods(s.namespace).List(ctx, metav1.ListOptions{})
				if role.Name != "event-streamer" {
					_, err = client.CoreV1().Pods(s.namespace).Get(ctx, "train-1", metav1.GetOptions{})
				}
				return err
			}
		}
		return nil
	})
}
