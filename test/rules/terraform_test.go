package rules

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
	"google.golang.org/protobuf/proto"

	"github.com/envision/resiliency/pkg/messaging/topology"
	resiliencyv1 "github.com/envision/resiliency/proto/gen/go/envision/resiliency/v1"
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

// rights are what iam.tf gives each service: its topics and its subscriptions.
func rights(t *testing.T) (publishes, subscribes map[string][]string) {
	t.Helper()
	topics := map[string]cty.Value{}
	for _, topic := range topology.Topics() {
		topics[topic.ID] = cty.EmptyObjectVal
	}
	services := locals(t, "deploy/gcp/iam.tf", &hcl.EvalContext{
		Variables: map[string]cty.Value{"local": cty.ObjectVal(map[string]cty.Value{"topics": cty.MapVal(topics)})},
		Functions: map[string]function.Function{"keys": stdlib.KeysFunc},
	}, "services")["services"]
	publishes, subscribes = map[string][]string{}, map[string][]string{}
	for name, may := range services.AsValueMap() {
		for _, id := range may.GetAttr("publishes").AsValueSlice() {
			publishes[name] = append(publishes[name], id.AsString())
		}
		for _, id := range may.GetAttr("subscribes").AsValueSlice() {
			subscribes[name] = append(subscribes[name], id.AsString())
		}
	}
	return publishes, subscribes
}

// A sweep sends whatever anybody left in the outbox. A service that may not publish
// on a topic of it would fail at those entries for ever.
func TestTerraform_letsWhoSweepsPublishAllOfTheOutbox(t *testing.T) {
	t.Parallel()
	publishes, _ := rights(t)
	sweepers := map[string]bool{}
	for _, name := range goFiles(t) {
		parts := strings.Split(name, "/")
		if parts[0] == "services" && !strings.HasSuffix(name, "_test.go") && strings.Contains(string(read(t, name)), "relay.New(") {
			sweepers[parts[1]] = true
		}
	}
	if len(sweepers) < 2 {
		t.Fatalf("only %v sweep the outbox", sweepers)
	}
	for _, message := range []proto.Message{&resiliencyv1.JobUpdate{}, &resiliencyv1.JobCommand{}, &resiliencyv1.PhaseEvent{}} {
		topic, ok := topology.TopicOf(message.ProtoReflect().Descriptor().FullName())
		if !ok {
			t.Fatalf("%T has no topic", message)
		}
		for service := range sweepers {
			if !slices.Contains(publishes[service], topic) {
				t.Errorf("iam.tf: %s sweeps the outbox and may not publish on %s", service, topic)
			}
		}
	}
}

// A subscription that nobody may read only fills.
func TestTerraform_letsSomebodyReadEachSubscription(t *testing.T) {
	t.Parallel()
	readers := map[string]int{}
	_, subscribes := rights(t)
	for _, ids := range subscribes {
		for _, id := range ids {
			readers[id]++
		}
	}
	variable := regexp.MustCompile(`(?s)variable "product_consumers" \{.*?\n\}`).FindString(string(read(t, "deploy/gcp/variables.tf")))
	for _, found := range regexp.MustCompile(`(?m)^\s+([a-z-]+)\s+= \[\]$`).FindAllStringSubmatch(variable, -1) {
		readers[found[1]]++
	}
	known := 0
	for _, topic := range topology.Topics() {
		for _, s := range topic.Subscriptions {
			if known++; readers[s.ID] != 1 {
				t.Errorf("deploy/gcp: %d may be given subscription %s, want one service, or the product", readers[s.ID], s.ID)
			}
		}
	}
	if len(readers) != known {
		t.Errorf("deploy/gcp gives rights on %v, of which %d exist", readers, known)
	}
}

// The product reports its jobs by the topics that the SDK publishes on.
func TestTerraform_letsTheSDKPublish(t *testing.T) {
	t.Parallel()
	sdk := regexp.MustCompile(`(?s)resource "google_pubsub_topic_iam_member" "sdk" \{.*?\n\}`).FindString(string(read(t, "deploy/gcp/iam.tf")))
	for _, message := range []proto.Message{&resiliencyv1.JobEvent{}, &resiliencyv1.PhaseEvent{}} {
		topic, _ := topology.TopicOf(message.ProtoReflect().Descriptor().FullName())
		if !strings.Contains(sdk, `"`+topic+`"`) || !strings.Contains(sdk, "var.sdk_publishers") {
			t.Errorf("iam.tf: nobody can be let publish on %s with the SDK", topic)
		}
	}
}
