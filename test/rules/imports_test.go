package rules

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// pkg is what `go list -json` tells of a package.
type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

// list returns the packages of a module that are not tests.
func list(t *testing.T, dir string) []pkg {
	t.Helper()
	return decodeAll[pkg](t, command(t, dir, "go", "list", "-json=ImportPath,Imports,Deps", "./..."))
}

// The SDKs, each known to one package, and what must never ship.
const (
	firestore = "cloud.google.com/go/firestore"
	pubsub    = "cloud.google.com/go/pubsub"
	storage   = "cloud.google.com/go/storage"
	clientGo  = "k8s.io/client-go"
	grpc      = "google.golang.org/grpc"
	slack     = "github.com/slack-go/slack"
)

// banned tells what a package must not depend on, however indirectly. A path
// that ends in /... means all packages below it.
func banned() map[string][]string {
	atRun := []string{"testing", "net/http/httptest", "github.com/google/go-cmp", "go.uber.org/goleak", "pgregory.net/rapid"}
	return map[string][]string{
		"proto/...": {grpc, modulePath + "pkg", modulePath + "services"},
		// Pure: the merge rule can be tested, fuzzed and reasoned about by itself.
		"pkg/job":                 {firestore, pubsub, storage, clientGo, grpc, "k8s.io", "net/http", "github.com/prometheus", "github.com/rs/zerolog"},
		"pkg/kube":                {firestore, pubsub, storage, clientGo, modulePath + "pkg/messaging", modulePath + "pkg/jobstore"},
		"pkg/jobevent":            {firestore, pubsub, storage, clientGo},
		"pkg/messaging":           {firestore, clientGo, modulePath + "pkg/jobstore"},
		"pkg/jobstore":            {clientGo},
		"pkg/service":             {firestore, pubsub, storage, clientGo},
		"pkg/...":                 {modulePath + "services", modulePath + "test"},
		"pkg/jobstore/...":        {clientGo, slack},
		"pkg/notify":              {firestore, pubsub, slack}, // its parts slackpost and jobstore/notices know those
		"services/...":            append(atRun, modulePath+"test"),
		"services/status-updater": {clientGo, storage, slack},
		// It keeps large capsules in a bucket; what takes them knows no client.
		"services/event-streamer":                          {firestore, slack},
		"services/event-streamer/internal/capsule":         {storage, pubsub, clientGo},
		"services/event-streamer/internal/capsule/content": {storage, pubsub, clientGo},
		"services/dlq-handler":                             {clientGo},
		"services/phase-tracer":                            {clientGo, slack},
	}
}

func matches(pattern, path string) bool {
	path = strings.TrimPrefix(path, modulePath)
	if prefix, ok := strings.CutSuffix(pattern, "/..."); ok {
		return strings.HasPrefix(path, prefix+"/")
	}
	return path == pattern
}

// under tells whether an import path is prefix or below it.
func under(path, prefix string) bool {
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}

func TestImports_keep_their_direction(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, dir := range modules(t) {
		for _, p := range list(t, dir) {
			for pattern, bans := range banned() {
				if !matches(pattern, p.ImportPath) {
					continue
				}
				used[pattern] = true
				for _, ban := range bans {
					if i := slices.IndexFunc(p.Deps, func(dep string) bool { return under(dep, ban) }); i >= 0 {
						t.Errorf("%s depends on %s (rule: never %s)", p.ImportPath, p.Deps[i], ban)
					}
				}
			}
		}
	}
	for _, pattern := range slices.Sorted(maps.Keys(banned())) {
		if !used[pattern] {
			t.Errorf("rule for %s applies to no package: was it renamed?", pattern)
		}
	}
}

func TestServices_do_not_know_each_other(t *testing.T) {
	t.Parallel()
	for _, dir := range services(t) {
		own := modulePath + dir
		for _, p := range list(t, dir) {
			for _, dep := range p.Deps {
				if strings.HasPrefix(dep, modulePath+"services/") && !under(dep, own) {
					t.Errorf("%s depends on %s: services talk over topics only", p.ImportPath, dep)
				}
			}
		}
	}
}

// Inside a service: main -> app -> adapters -> domain. An adapter is a package
// that imports an SDK or a pkg that does I/O; only app may import one, so
// adapters never know each other and the domain knows none.
func TestServices_join_adapters_in_app(t *testing.T) {
	t.Parallel()
	for _, dir := range services(t) {
		prefix := modulePath + dir + "/internal/"
		packages := list(t, dir)
		adapters := map[string]bool{}
		for _, p := range packages {
			if part := component(p.ImportPath, prefix); part != "" && part != "app" && doesIO(p.Imports) {
				adapters[part] = true
			}
		}
		for _, p := range packages {
			from := component(p.ImportPath, prefix)
			if from == "app" {
				continue
			}
			for _, imported := range p.Imports {
				to := component(imported, prefix)
				if to == "" || to == from {
					continue
				}
				if from == "" && to != "app" {
					t.Errorf("%s: main imports %s, want only internal/app", dir, imported)
				}
				if from != "" && (to == "app" || adapters[to]) {
					t.Errorf("%s: internal/%s imports internal/%s, which only app may", dir, from, to)
				}
			}
		}
	}
}

// component returns the first folder below internal, or "".
func component(path, prefix string) string {
	rest, ok := strings.CutPrefix(path, prefix)
	if !ok {
		return ""
	}
	return strings.SplitN(rest, "/", 2)[0]
}

func doesIO(imports []string) bool {
	doers := []string{
		firestore, pubsub, storage, clientGo, slack, "net/http",
		modulePath + "pkg/jobstore", modulePath + "pkg/messaging", modulePath + "pkg/notify",
	}
	return slices.ContainsFunc(imports, func(path string) bool {
		return slices.ContainsFunc(doers, func(doer string) bool { return under(path, doer) })
	})
}
