package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// KubeProxy stands before the API server, for a client that is to meet one which
// fails, is slow or refuses; everybody else's calls go past it.
type KubeProxy struct {
	server     *http.Server
	transport  http.RoundTripper
	kubeconfig string
	faults     httpFaults
}

// StartKubeProxy starts a proxy whose clients have all rights. The caller closes
// it.
func (s *Stack) StartKubeProxy() (*KubeProxy, error) {
	config, err := s.cluster.restConfig()
	if err != nil {
		return nil, err
	}
	target, err := url.Parse(config.Host)
	if err != nil {
		return nil, fmt.Errorf("read the address of the API server: %w", err)
	}
	p := &KubeProxy{}
	if p.transport, err = rest.TransportFor(config); err != nil {
		return nil, fmt.Errorf("connect a proxy to the API server: %w", err)
	}
	port, err := s.ports.next()
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return nil, fmt.Errorf("listen for a proxy of the API server: %w", err)
	}
	p.kubeconfig = filepath.Join(s.dir, fmt.Sprintf("kubeconfig-%d", port))
	if err := writeKubeconfig(p.kubeconfig, "http://"+loopback(port)); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	p.server = &http.Server{Handler: p.faults.before(p.forward(target)), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = p.server.Serve(listener) }() // returns when Close is called
	return p, nil
}

// asUser is the key of the user in whose name a request is made.
type asUser struct{}

func (p *KubeProxy) forward(target *url.URL) func(http.ResponseWriter, *http.Request, HTTPFault) {
	forward := &httputil.ReverseProxy{
		Transport: p.transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			if user, _ := r.In.Context().Value(asUser{}).(string); user != "" {
				r.Out.Header.Set("Impersonate-User", user)
			}
		},
		// A client that went away is no matter, and the default would log it.
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	return func(w http.ResponseWriter, r *http.Request, fault HTTPFault) {
		forward.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), asUser{}, fault.As)))
	}
}

// Kubeconfig is the path of a kubeconfig that leads through the proxy.
func (p *KubeProxy) Kubeconfig() string { return p.kubeconfig }

// Inject sets a fault behind those already set, of which the first that matches
// a request counts, and returns what ends it.
func (p *KubeProxy) Inject(fault HTTPFault) (remove func()) { return p.faults.inject(fault) }

// Close ends the proxy and the calls in hand.
func (p *KubeProxy) Close() error {
	err := p.server.Close()
	utilnet.CloseIdleConnectionsFor(p.transport)
	return errors.Join(err, os.Remove(p.kubeconfig))
}

// writeKubeconfig writes one for a server that asks for no credentials.
func writeKubeconfig(path, server string) error {
	const name = "stack"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: server}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name}
	config.CurrentContext = name
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return fmt.Errorf("write kubeconfig %s: %w", path, err)
	}
	return nil
}
