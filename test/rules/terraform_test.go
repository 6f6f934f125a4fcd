package rules

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2/hclparse"

	"github.com/envision/resiliency/pkg/messaging/topology"
)

// topologyFile is the table of topics as Terraform reads it.
const topologyFile = "deploy/gcp/topology.json"

type terraformTopic struct {
	ID            string                  `json:"id"`
	Subscriptions []terraformSubscription `json:"subscriptions"`
}

type terraformSubscription struct {
	ID                  string  `json:"id"`
	Filter              *string `json:"filter"`
	AckDeadlineSeconds  float64 `json:"ack_deadline_seconds"`
	RetentionSeconds    float64 `json:"retention_seconds"`
	MinBackoffSeconds   float64 `json:"min_backoff_seconds"`
	MaxBackoffSeconds   float64 `json:"max_backoff_seconds"`
	DeadLetterTopic     *string `json:"dead_letter_topic"`
	MaxDeliveryAttempts int32   `json:"max_delivery_attempts,omitempty"`
}

// wantTopology is the table in pkg/messaging/topology with the settings of
// production.
func wantTopology() []terraformTopic {
	settings, _ := topology.Production.Settings()
	deadLetters := topology.TopicDeadLetters
	var topics []terraformTopic
	for _, t := range topology.Topics() {
		topic := terraformTopic{ID: t.ID}
		for _, s := range t.Subscriptions {
			row := terraformSubscription{
				ID: s.ID, AckDeadlineSeconds: settings.AckDeadline.Seconds(), RetentionSeconds: settings.Retention.Seconds(),
				MinBackoffSeconds: settings.MinBackoff.Seconds(), MaxBackoffSeconds: settings.MaxBackoff.Seconds(),
			}
			if s.DeadLetters() {
				row.RetentionSeconds = settings.DeadLetterRetention.Seconds()
			} else {
				filter := s.Filter()
				row.Filter, row.DeadLetterTopic, row.MaxDeliveryAttempts = &filter, &deadLetters, settings.MaxDeliveryAttempts
			}
			topic.Subscriptions = append(topic.Subscriptions, row)
		}
		topics = append(topics, topic)
	}
	return topics
}

// What Terraform creates is what the services and the local stack expect.
// UPDATE=1 writes the file anew.
func TestTerraform_hasTheTopology(t *testing.T) {
	t.Parallel()
	type file struct {
		Topics []terraformTopic `json:"topics"`
	}
	want := file{wantTopology()}
	if os.Getenv("UPDATE") != "" {
		b, err := json.MarshalIndent(want, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, topologyFile), append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var got file
	if err := json.Unmarshal(read(t, topologyFile), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s is not the table (UPDATE=1 go test -run TestTerraform ./rules writes it), -want +got:\n%s", topologyFile, diff)
	}
}

// Names of topics and subscriptions in the lists of iam.tf.
var (
	grantLists = regexp.MustCompile(`(publishes|subscribes)\s*=\s*\[([^\]]*)\]`)
	quoted     = regexp.MustCompile(`"([^"]+)"`)
)

func TestTerraform_isWellFormed(t *testing.T) {
	t.Parallel()
	parser, parsed := hclparse.NewParser(), 0
	for _, name := range files(t) {
		if filepath.Ext(name) != ".tf" {
			continue
		}
		parsed++
		if _, problems := parser.ParseHCL(read(t, name), name); problems.HasErrors() {
			t.Error(problems)
		}
	}
	if parsed == 0 {
		t.Fatal("no .tf file found")
	}
}

func TestTerraform_grantsWhatExists(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, topic := range topology.Topics() {
		known["publishes "+topic.ID] = true
		for _, s := range topic.Subscriptions {
			known["subscribes "+s.ID] = true
		}
	}
	text, grants := string(read(t, "deploy/gcp/iam.tf")), 0
	for _, list := range grantLists.FindAllStringSubmatch(text, -1) {
		for _, name := range quoted.FindAllStringSubmatch(list[2], -1) {
			if grants++; !known[list[1]+" "+name[1]] {
				t.Errorf("iam.tf: %s %s: there is none of that name", list[1], name[1])
			}
		}
	}
	if grants == 0 {
		t.Fatal("no grant found")
	}
	for _, name := range files(t) {
		if service, ok := strings.CutSuffix(name, "/main.go"); ok && strings.HasPrefix(service, "services/") {
			if account := filepath.Base(service); !regexp.MustCompile(`(?m)^\s+` + account + `\s+= \{`).MatchString(text) {
				t.Errorf("iam.tf has no account for %s", account)
			}
		}
	}
}
