package logsink

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// FilterFile is the template of the sink's filter, from the root of the repository.
const FilterFile = "deploy/gcp/sink/filter.tftpl"

// FilterValues fill the placeholders of the template.
type FilterValues struct {
	// Cluster and Location are the cluster's name and its region or zone.
	Cluster, Location string
	// Namespaces are those of jobs; at least one.
	Namespaces []string
	// WitnessNamespace and WitnessContainer are where the log witness runs.
	WitnessNamespace, WitnessContainer string
}

// plain is a value that needs no quoting of its own.
var plain = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// placeholder is Terraform's; its functions are not for this file.
var placeholder = regexp.MustCompile(`[$%]\{[^}]*\}?`)

// ReadFilter renders the template at path as Terraform does.
func ReadFilter(path string, values FilterValues) (string, error) {
	template, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read the sink's filter: %w", err)
	}
	filter, err := RenderFilter(string(template), values)
	if err != nil {
		return "", fmt.Errorf("render %s: %w", path, err)
	}
	return filter, nil
}

// RenderFilter fills a template in. A placeholder that it does not know and a
// value that could be mistaken for syntax are errors.
func RenderFilter(template string, values FilterValues) (string, error) {
	named := map[string]string{
		"cluster": values.Cluster, "location": values.Location,
		"witness_namespace": values.WitnessNamespace, "witness_container": values.WitnessContainer,
	}
	for name, value := range named {
		if !plain.MatchString(value) {
			return "", fmt.Errorf("value %q of %s: letters, digits and . _ - are allowed", value, name)
		}
	}
	if len(values.Namespaces) == 0 {
		return "", fmt.Errorf("values: at least one namespace is required")
	}
	quoted := make([]string, len(values.Namespaces))
	for i, namespace := range values.Namespaces {
		if !plain.MatchString(namespace) {
			return "", fmt.Errorf("namespace %q: letters, digits and . _ - are allowed", namespace)
		}
		quoted[i] = `"` + namespace + `"`
	}
	named["namespaces"] = strings.Join(quoted, " OR ")
	var unknown []string
	filter := placeholder.ReplaceAllStringFunc(template, func(match string) string {
		value, ok := named[strings.TrimSuffix(strings.TrimPrefix(match, "${"), "}")]
		if !ok {
			unknown = append(unknown, match)
		}
		return value
	})
	if len(unknown) > 0 {
		return "", fmt.Errorf("unknown placeholders %q", unknown)
	}
	return filter, nil
}
