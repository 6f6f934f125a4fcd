package stack

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Vars are environment variables in the order they were set.
type Vars struct{ pairs [][2]string }

// with returns the variables with more added; a name set again takes the new value.
func (v Vars) with(namesAndValues ...string) Vars {
	pairs := slices.Clone(v.pairs)
	for i := 0; i+1 < len(namesAndValues); i += 2 {
		pair := [2]string{namesAndValues[i], namesAndValues[i+1]}
		at := slices.IndexFunc(pairs, func(p [2]string) bool { return p[0] == pair[0] })
		if at < 0 {
			pairs = append(pairs, pair)
		} else {
			pairs[at] = pair
		}
	}
	return Vars{pairs: pairs}
}

// Get returns a variable's value, "" if it is not set.
func (v Vars) Get(name string) string {
	for _, p := range v.pairs {
		if p[0] == name {
			return p[1]
		}
	}
	return ""
}

// environ is the form that exec wants.
func (v Vars) environ() []string {
	env := make([]string, 0, len(v.pairs))
	for _, p := range v.pairs {
		env = append(env, p[0]+"="+p[1])
	}
	return env
}

// Shell is the form that a POSIX shell sources: export NAME='value'.
func (v Vars) Shell() string {
	var b strings.Builder
	for _, p := range v.pairs {
		fmt.Fprintf(&b, "export %s='%s'\n", p[0], strings.ReplaceAll(p[1], "'", `'\''`))
	}
	return b.String()
}

// ParseShell reads what Shell wrote; lines in another form are left out.
func ParseShell(text string) Vars {
	var v Vars
	for line := range strings.Lines(text) {
		pair, exported := strings.CutPrefix(strings.TrimSpace(line), "export ")
		name, value, ok := strings.Cut(pair, "=")
		if !exported || !ok || len(value) < 2 || value[0] != '\'' || value[len(value)-1] != '\'' {
			continue
		}
		v = v.with(name, strings.ReplaceAll(value[1:len(value)-1], `'\''`, "'"))
	}
	return v
}

// vars are what any client of the stack needs for one GCP project.
func (s *Stack) vars(projectID string) Vars {
	return Vars{}.with(
		"KUBECONFIG", s.Kubeconfig(),
		"GOOGLE_CLOUD_PROJECT", projectID,
		envFirestore, s.Firestore.Addr(),
		envPubSub, s.PubSub.Addr(),
		"STORAGE_EMULATOR_HOST", s.GCS.Addr(),
		"OUTPUT_BUCKET", OutputBucket,
		"LETTERS_BUCKET", LettersBucket,
		"CAPSULE_BUCKET", CapsuleBucket,
		"SLACK_API_URL", s.Slack.URL(),
		// The stand-in takes any token; with one, notices go there and not to the log.
		"SLACK_TOKEN", "local",
		"SLACK_CHANNEL", slackChannel(projectID),
		envProxies, s.Firestore.Addr()+","+s.PubSub.Addr(),
	)
}

// EnvPath is the file that WriteEnv writes.
func (s *Stack) EnvPath() string { return EnvPath(s.dir) }

// EnvPath is the env file of a run directory. It exists only while a stack runs.
func EnvPath(dir string) string { return filepath.Join(dir, "env") }

// WriteEnv writes the env file for a shell or any other client of the project:
// where everything is, and each service's URLs, <SERVICE>_ADMIN_URL and more
// pairs of names and values.
func (p *Project) WriteEnv(more ...string) error {
	// What recovery-job needs beside, which is run by hand here.
	vars := p.stack.vars(p.ID).with("CLUSTER", ClusterName, "NAMESPACES", strings.Join(p.namespaces, ","))
	p.mu.Lock()
	for _, process := range p.processes {
		vars = vars.with(EnvName(process.Name())+"_ADMIN_URL", process.AdminURL())
		if process.URL() != "" {
			vars = vars.with(EnvName(process.Name())+"_URL", process.URL())
		}
	}
	p.mu.Unlock()
	path, text := p.stack.EnvPath(), vars.with(more...).Shell()
	// Renamed into place: whoever waits for the file must never read half of it.
	if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
		return fmt.Errorf("write env file: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write env file: %w", err)
	}
	return nil
}

// EnvName is a service's name as the beginning of a variable: event-streamer
// becomes EVENT_STREAMER.
func EnvName(service string) string {
	return strings.ToUpper(strings.ReplaceAll(service, "-", "_"))
}
