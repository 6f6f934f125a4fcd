package rules

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
)

// Texts that tell an operator what to type.
func instructions(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, name := range files(t) {
		dir := filepath.Dir(name)
		if filepath.Ext(name) == ".md" && (dir == runbooks || dir == "docs" || dir == "." || dir == "deploy" || dir == "deploy/gcp" ||
			strings.HasPrefix(name, "services/") && filepath.Base(name) == "README.md") {
			names = append(names, name)
		}
	}
	if len(names) < 20 {
		t.Fatalf("only %d texts found", len(names))
	}
	return names
}

// workloads are the objects that a command may name, as kubectl spells their kinds.
func workloads(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	for name := range objects[*appsv1.Deployment](t) {
		known["deploy "+name] = true
	}
	for name := range objects[*autoscalingv2.HorizontalPodAutoscaler](t) {
		known["hpa "+name] = true
	}
	for name := range objects[*batchv1.CronJob](t) {
		known["cronjob "+name] = true
	}
	return known
}

var (
	// slashed finds deploy/NAME, spaced finds get cronjob NAME; what is to be replaced
	// is in capitals and no name.
	slashed = regexp.MustCompile(`[ =` + "`" + `](deploy|hpa|cronjob)/([a-z][a-z0-9-]*)`)
	spaced  = regexp.MustCompile(`\b(?:get|patch|scale|describe) (deploy|hpa|cronjob) ([a-z][a-z0-9-]*)`)
	// kinds finds get deploy,hpa,pods.
	kinds    = regexp.MustCompile(`kubectl[^\n` + "`" + `]* get ([a-z,]+)`)
	selector = regexp.MustCompile(`-l (app\.kubernetes\.io/[^\s` + "`" + `]+)`)
)

// What is typed at three in the morning is there.
func TestCommands_name_what_is_deployed(t *testing.T) {
	t.Parallel()
	known, found := workloads(t), 0
	for _, name := range instructions(t) {
		text := string(read(t, name))
		for _, hit := range append(slashed.FindAllStringSubmatch(text, -1), spaced.FindAllStringSubmatch(text, -1)...) {
			if exists("deploy/"+hit[2]) && !exists("services/"+hit[2]) {
				continue // a folder
			}
			if found++; !known[hit[1]+" "+hit[2]] {
				t.Errorf("%s names %s %s, which is not in deploy/", name, hit[1], hit[2])
			}
		}
		for _, hit := range kinds.FindAllStringSubmatch(text, -1) {
			for kind := range strings.SplitSeq(hit[1], ",") {
				if kind == "hpa" && !known["hpa status-updater"] {
					t.Errorf("%s asks for hpa, and there is none", name)
				}
			}
		}
	}
	if found < 5 {
		t.Fatalf("only %d names found", found)
	}
}

// Of several pods kubectl takes one by deploy/NAME, and often the one that stands by.
func TestCommands_read_the_logs_of_all_pods(t *testing.T) {
	t.Parallel()
	pods := podLabels(t)
	found := 0
	for _, name := range instructions(t) {
		text := string(read(t, name))
		if strings.Contains(text, "logs deploy/") {
			t.Errorf("%s reads the log of one pod of a Deployment: choose by label, with --prefix", name)
		}
		for _, hit := range selector.FindAllStringSubmatch(text, -1) {
			found++
			if value := strings.Split(hit[1], "="); value[len(value)-1] == strings.ToUpper(value[len(value)-1]) {
				continue // to be replaced
			}
			if !anyPod(pods, hit[1]) {
				t.Errorf("%s chooses pods by %s, and none has that", name, hit[1])
			}
		}
	}
	if found < 5 {
		t.Fatalf("only %d selectors found", found)
	}
}

// podLabels are the labels of the pods of each service.
func podLabels(t *testing.T) []map[string]string {
	t.Helper()
	var all []map[string]string
	for _, dir := range services(t) {
		service := filepath.Base(dir)
		common := commonLabels(t, "deploy/"+service+"/base/kustomization.yaml")
		all = append(all, common)
		for _, d := range objects[*appsv1.Deployment](t) {
			labels := map[string]string{}
			if d.Name != service && d.Name != service+"-witness" {
				continue
			}
			for key, value := range common {
				labels[key] = value
			}
			for key, value := range d.Spec.Template.Labels {
				labels[key] = value
			}
			all = append(all, labels)
		}
	}
	return all
}

func anyPod(pods []map[string]string, selector string) bool {
	for _, labels := range pods {
		fits := true
		for want := range strings.SplitSeq(selector, ",") {
			key, value, _ := strings.Cut(want, "=")
			fits = fits && labels[key] == value
		}
		if fits {
			return true
		}
	}
	return false
}

// A Secret that manifests refer to is made by hand: the installation says how, and a
// text that names one names one of those.
func TestSecrets_are_told_of(t *testing.T) {
	t.Parallel()
	install, used := string(read(t, "docs/install.md")), map[string]bool{}
	reference := regexp.MustCompile(`(?:secretKeyRef: \{name: |oauth2ClientSecret:\n\s+name: )([a-z-]+)`)
	for _, name := range files(t) {
		if strings.HasPrefix(name, "deploy/") && filepath.Ext(name) == ".yaml" {
			for _, hit := range reference.FindAllStringSubmatch(string(read(t, name)), -1) {
				used[hit[1]] = true
				if !strings.Contains(install, "create secret generic "+hit[1]+" ") {
					t.Errorf("%s refers to Secret %s, and docs/install.md does not say how it is made", name, hit[1])
				}
			}
		}
	}
	if len(used) == 0 {
		t.Fatal("no manifest refers to a Secret")
	}
	for _, name := range instructions(t) {
		for _, hit := range regexp.MustCompile("Secret `([^`]+)`").FindAllStringSubmatch(string(read(t, name)), -1) {
			if !used[hit[1]] {
				t.Errorf("%s names Secret %s, which no manifest refers to", name, hit[1])
			}
		}
	}
}
