package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/envision/resiliency/test/stack/proxy"
)

// Control is an HTTP API on loopback by which another process breaks and
// mends a stack that runs in the background:
//
//	GET    /status                          parts and services
//	POST   /parts/{name}/{action}           kill, pause, resume, restart
//	POST   /services/{name}/{action}        the same
//	GET    /proxies/{name}/counts/{project} what a project's calls did; DELETE begins anew
//	POST   /proxies/{name}/faults           a proxy.Fault as JSON; DELETE ends all
//	POST   /proxies/{name}/{cut|mend}       all connections
//
// Proxies are named as their parts, firestore and pubsub.
type Control struct {
	stack   *Stack
	project *Project
	server  *http.Server
	url     string
}

// Status is what GET /status answers.
type Status struct {
	Kubernetes string          `json:"kubernetes"`
	Parts      []string        `json:"parts"`
	Services   []ServiceStatus `json:"services"`
}

// ServiceStatus is one service's line of it.
type ServiceStatus struct {
	Name     string `json:"name"`
	PID      int    `json:"pid"`
	Running  bool   `json:"running"`
	Ready    bool   `json:"ready"`
	AdminURL string `json:"admin_url"`
	// URL is that of the public API and pages; empty without one.
	URL string `json:"url,omitempty"`
	Log string `json:"log"`
}

// StartControl serves the API for the stack and one project's services.
func (p *Project) StartControl() (*Control, error) {
	port, err := p.stack.ports.next()
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return nil, fmt.Errorf("listen for the control API: %w", err)
	}
	c := &Control{stack: p.stack, project: p, url: "http://" + loopback(port)}
	c.server = &http.Server{Handler: c.routes(), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = c.server.Serve(listener) }() // returns when Close is called
	return c, nil
}

// URL is the API's base, without a closing slash.
func (c *Control) URL() string { return c.url }

// Close ends the API.
func (c *Control) Close() error { return c.server.Close() }

func (c *Control) routes() http.Handler {
	r := chi.NewRouter()
	r.Use(noBrowsers)
	r.Get("/status", c.status)
	r.Post("/parts/{name}/{action}", answering(c.part))
	r.Post("/services/{name}/{action}", answering(c.service))
	r.Route("/proxies/{name}", func(r chi.Router) {
		r.Get("/counts/{project}", c.counts)
		r.Delete("/counts/{project}", answering(c.resetCounts))
		r.Post("/faults", answering(c.inject))
		r.Delete("/faults", answering(c.clearFaults))
		r.Post("/{action:cut|mend}", answering(c.connections))
	})
	return r
}

// noBrowsers refuses what a web page sends: any page may reach loopback.
func noBrowsers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
			http.Error(w, "not for browsers", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// errNoSuch is answered with 404.
var errNoSuch = errors.New("no such thing")

func answering(do func(*http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := do(r)
		switch {
		case err == nil:
			w.WriteHeader(http.StatusNoContent)
		case errors.Is(err, errNoSuch):
			http.Error(w, err.Error(), http.StatusNotFound)
		default:
			http.Error(w, err.Error(), http.StatusConflict)
		}
	}
}

// breakable is what parts and services have in common.
type breakable interface {
	Kill() error
	Pause() error
	Resume() error
}

func act(ctx context.Context, b breakable, action string, restart func(context.Context) error) error {
	switch action {
	case "kill":
		return b.Kill()
	case "pause":
		return b.Pause()
	case "resume":
		return b.Resume()
	case "restart":
		return restart(ctx)
	default:
		return fmt.Errorf("%w: action %q", errNoSuch, action)
	}
}

func (c *Control) part(r *http.Request) error {
	part, err := c.stack.Part(chi.URLParam(r, "name"))
	if err != nil {
		return fmt.Errorf("%w: %w", errNoSuch, err)
	}
	return act(r.Context(), part, chi.URLParam(r, "action"), part.Restart)
}

func (c *Control) service(r *http.Request) error {
	for _, process := range c.project.Processes() {
		if process.Name() == chi.URLParam(r, "name") {
			restart := process.Restart
			if !process.Running() {
				restart = process.Start
			}
			return act(r.Context(), process, chi.URLParam(r, "action"), restart)
		}
	}
	return fmt.Errorf("%w: service %q", errNoSuch, chi.URLParam(r, "name"))
}

func (c *Control) proxy(r *http.Request) (*proxy.Proxy, error) {
	switch name := chi.URLParam(r, "name"); name {
	case PartFirestore:
		return c.stack.Firestore, nil
	case PartPubSub:
		return c.stack.PubSub, nil
	default:
		return nil, fmt.Errorf("%w: proxy %q", errNoSuch, name)
	}
}

func (c *Control) inject(r *http.Request) error {
	p, err := c.proxy(r)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<16))
	decoder.DisallowUnknownFields()
	var fault proxy.Fault
	if err := decoder.Decode(&fault); err != nil {
		return fmt.Errorf("read fault: %w", err)
	}
	p.Inject(fault)
	return nil
}

func (c *Control) clearFaults(r *http.Request) error {
	p, err := c.proxy(r)
	if err == nil {
		p.ClearFaults()
	}
	return err
}

func (c *Control) connections(r *http.Request) error {
	p, err := c.proxy(r)
	switch {
	case err != nil:
		return err
	case chi.URLParam(r, "action") == "cut":
		p.CutConnections()
	default:
		p.Mend()
	}
	return nil
}

func (c *Control) resetCounts(r *http.Request) error {
	p, err := c.proxy(r)
	if err == nil {
		p.ResetCounts(chi.URLParam(r, "project"))
	}
	return err
}

func (c *Control) counts(w http.ResponseWriter, r *http.Request) {
	p, err := c.proxy(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	writeJSON(w, p.Counts(chi.URLParam(r, "project")))
}

func (c *Control) status(w http.ResponseWriter, r *http.Request) {
	status := Status{Kubernetes: c.stack.ServerVersion(), Parts: c.stack.Parts()}
	for _, p := range c.project.Processes() {
		status.Services = append(status.Services, ServiceStatus{
			Name: p.Name(), PID: p.PID(), Running: p.Running(), AdminURL: p.AdminURL(), URL: p.URL(), Log: p.LogPath(),
			Ready: p.Running() && get(r.Context(), p.AdminURL()+"/readyz") == nil,
		})
	}
	writeJSON(w, status)
}

// writeJSON answers a caller; one that went away meanwhile is no matter.
func writeJSON(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}
