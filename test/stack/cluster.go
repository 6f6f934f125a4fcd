package stack

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/envision/resiliency/test/stack/proc"
)

// clusterName is kwokctl's name for the one cluster of a run directory.
const clusterName = "stack"

//go:embed stages.yaml
var stages []byte

// clusterConfig is kwokctl's own part of the configuration. Without
// disableQPSLimits about three Jobs a second complete; without bindAddress
// everything listens on all interfaces; with leader election a killed controller
// manager or scheduler would be missing for the 15 seconds of its lease; with
// node leases a restarted KWOK never takes the nodes over (it sees the leases of
// the one before and does nothing), so nodes live by their heartbeat alone.
const clusterConfig = `apiVersion: config.kwok.x-k8s.io/v1alpha1
kind: KwokctlConfiguration
options:
  disableQPSLimits: true
  bindAddress: 127.0.0.1
  etcdPeerPort: %d
componentsPatches:
- name: kube-controller-manager
  extraArgs: [{key: leader-elect, value: "false"}, {key: terminated-pod-gc-threshold, value: "0"}]
- name: kube-scheduler
  extraArgs: [{key: leader-elect, value: "false"}]
- name: kwok-controller
  extraArgs: [{key: node-lease-duration-seconds, value: "0"}]
---
`

// clusterTools are the programs that the cluster needs in the tools folder.
var clusterTools = []string{
	"kwokctl", "kwok", "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler",
}

// cluster is a control plane run by kwokctl, which starts daemons and leaves.
type cluster struct {
	mark  proc.Mark
	tools string
	ports *ports
}

func (c *cluster) workdir() string { return filepath.Join(c.mark.Dir(), "kwok") }

// home is where kwokctl keeps this cluster's files.
func (c *cluster) home() string { return filepath.Join(c.workdir(), "clusters", clusterName) }

func (c *cluster) kubeconfig() string { return filepath.Join(c.mark.Dir(), "kubeconfig") }

// kwokctlLog takes what kwokctl itself says.
func (c *cluster) kwokctlLog() string { return proc.LogPath(c.mark.Dir(), "kwokctl") }

// checkTools names every missing program at once.
func (c *cluster) checkTools() error {
	var missing []string
	for _, name := range clusterTools {
		if info, err := os.Stat(filepath.Join(c.tools, name)); err != nil || info.Mode()&0o111 == 0 {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("programs %v are missing in %s: run `make tools` first", missing, c.tools)
	}
	return nil
}

// create makes the cluster anew; what an earlier run left is removed first.
func (c *cluster) create(ctx context.Context) error {
	if err := os.RemoveAll(c.workdir()); err != nil {
		return fmt.Errorf("remove the earlier cluster: %w", err)
	}
	if err := os.Remove(c.kubeconfig()); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("remove the earlier kubeconfig: %w", err)
	}
	if err := os.MkdirAll(c.workdir(), 0o755); err != nil {
		return fmt.Errorf("create the cluster's folder: %w", err)
	}
	config := filepath.Join(c.workdir(), "config.yaml")
	peers, err := c.ports.next()
	if err != nil {
		return err
	}
	logs, err := c.writePodLogs()
	if err != nil {
		return err
	}
	text := slices.Concat(fmt.Appendf(nil, clusterConfig, peers), stages, logs)
	if err := os.WriteFile(config, text, 0o644); err != nil {
		return fmt.Errorf("write the cluster's configuration: %w", err)
	}
	listen, err := c.listen()
	if err != nil {
		return err
	}
	tool := func(name string) string { return filepath.Join(c.tools, name) }
	return c.kwokctl(ctx, append([]string{"create", "cluster", "--runtime", "binary", "--config", config,
		"--etcd-binary", tool("etcd"), "--kube-apiserver-binary", tool("kube-apiserver"),
		"--kube-controller-manager-binary", tool("kube-controller-manager"),
		"--kube-scheduler-binary", tool("kube-scheduler"), "--kwok-controller-binary", tool("kwok"),
		"--kubeconfig", c.kubeconfig(), "--wait", "90s"}, listen...)...)
}

// listen are the flags for every port that kwokctl would choose by itself: it
// counts down from one number, so two clusters that start at one time would
// choose the same.
func (c *cluster) listen() ([]string, error) {
	var flags []string
	for _, component := range []string{
		"kube-apiserver", "etcd", "kube-controller-manager", "kube-scheduler", "controller",
	} {
		port, err := c.ports.next()
		if err != nil {
			return nil, err
		}
		flags = append(flags, fmt.Sprintf("--%s-port=%d", component, port))
	}
	return flags, nil
}

// kwokctl runs one kwokctl command; the daemons it starts inherit the mark.
func (c *cluster) kwokctl(ctx context.Context, args ...string) error {
	log, err := os.OpenFile(c.kwokctlLog(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open kwokctl's log: %w", err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.CommandContext(ctx, filepath.Join(c.tools, "kwokctl"), append(args, "--name", clusterName)...)
	cmd.Env = append(os.Environ(), "KWOK_WORKDIR="+c.workdir(), c.mark.Env())
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("kwokctl %s %s: %w", args[0], args[1], err)
	}
	return nil
}

// restConfig has no client-side rate limit: the tests are the load.
func (c *cluster) restConfig() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig())
	if err != nil {
		return nil, fmt.Errorf("read the cluster's kubeconfig: %w", err)
	}
	// Client-go watches certificate files for ever, even after the stack stopped.
	if err := rest.LoadTLSFiles(config); err != nil {
		return nil, fmt.Errorf("read the certificates of the cluster's kubeconfig: %w", err)
	}
	config.CertFile, config.KeyFile, config.CAFile = "", "", ""
	config.QPS, config.Burst = -1, 0
	return config, nil
}

func (c *cluster) client() (kubernetes.Interface, error) {
	config, err := c.restConfig()
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("client for the cluster: %w", err)
	}
	return client, nil
}
