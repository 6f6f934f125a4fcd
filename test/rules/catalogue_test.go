package rules

import (
	"fmt"
	"strings"
	"testing"

	"github.com/envision/resiliency/pkg/messaging/topology"
)

// proto/README.md is what other teams read, the table in pkg/messaging/topology
// is what runs; they say the same.
func TestCatalogue_equals_the_table(t *testing.T) {
	t.Parallel()
	rows := map[string]string{}
	for line := range strings.Lines(string(read(t, "proto/README.md"))) {
		cells := strings.Split(line, "|")
		if len(cells) == 6 { // | topic | message | published by | subscriptions |
			rows[strings.Trim(cells[1], " `")] = line
		}
	}
	documented := 0
	for _, topic := range topology.Topics() {
		row, ok := rows[topic.ID]
		if !ok {
			t.Errorf("topic %s has no row", topic.ID)
			continue
		}
		documented++
		if topic.Message != "" && !strings.Contains(row, fmt.Sprintf("| `%s` |", topic.Message.Name())) {
			t.Errorf("topic %s carries %s, its row says %s", topic.ID, topic.Message.Name(), row)
		}
		if got, want := strings.Count(strings.Split(row, "|")[4], "`"), 2*len(topic.Subscriptions); got != want {
			t.Errorf("topic %s has %d subscriptions, its row says %s", topic.ID, len(topic.Subscriptions), row)
		}
		for _, s := range topic.Subscriptions {
			if !strings.Contains(row, "`"+s.ID+"`") {
				t.Errorf("subscription %s is not in the row of %s", s.ID, topic.ID)
			}
		}
	}
	if topics := len(rows) - 2; documented != topics { // head and rule of the table
		t.Errorf("the page has %d topics, the table %d", topics, documented)
	}
}

// The figures on the page are those of the profiles.
func TestCatalogue_has_the_settings(t *testing.T) {
	t.Parallel()
	page := string(read(t, "proto/README.md"))
	production, _ := topology.Production.Settings()
	local, _ := topology.Local.Settings()
	const day = 24
	for name, row := range map[string]string{
		"retry policy": fmt.Sprintf("%.0f s to %.0f s | %.0f s to %.0f s",
			production.MinBackoff.Seconds(), production.MaxBackoff.Seconds(), local.MinBackoff.Seconds(), local.MaxBackoff.Seconds()),
		"delivery attempts before `dead-letters`": fmt.Sprintf("%d | %d", production.MaxDeliveryAttempts, local.MaxDeliveryAttempts),
		"retention of what is not acked": fmt.Sprintf("%.0f days | %.0f days",
			production.Retention.Hours()/day, local.Retention.Hours()/day),
		"retention in `dead-letters-dlq-handler`": fmt.Sprintf("%.0f days | %.0f days",
			production.DeadLetterRetention.Hours()/day, local.DeadLetterRetention.Hours()/day),
	} {
		if want := fmt.Sprintf("| %s | %s |", name, row); !strings.Contains(page, want) {
			t.Errorf("page lacks %q", want)
		}
	}
}
