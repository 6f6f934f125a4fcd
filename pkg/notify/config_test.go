package notify_test

import (
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/rs/zerolog"

	"github.com/envision/resiliency/pkg/notify"
	"github.com/envision/resiliency/pkg/notify/notifytest"
)

func newLogged(t *testing.T, log *logs) *notify.Notifier {
	t.Helper()
	logger := zerolog.New(log)
	n, err := notify.New(notify.Config{}, notify.Parts{
		Store: &notifytest.Store{}, Poster: notify.NewLogPoster(logger), Instance: "i", Log: logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestConfig_defaults_are_right(t *testing.T) {
	t.Parallel()
	var cfg struct {
		Notify notify.Config `embed:""`
	}
	parser, err := kong.New(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse([]string{"--slack-token=t", "--slack-channel=C1"}); err != nil {
		t.Fatal(err)
	}
	if err := cfg.Notify.Check(); err != nil || !cfg.Notify.Enabled() {
		t.Errorf("check: %v, enabled: %v", err, cfg.Notify.Enabled())
	}
	if cfg.Notify.UpdateEvery != 5*time.Second || cfg.Notify.NewPerMinute != 10 || cfg.Notify.Quiet != 24*time.Hour {
		t.Errorf("defaults %+v", cfg.Notify)
	}
}

func TestConfig_tells_all_that_is_wrong(t *testing.T) {
	t.Parallel()
	err := (&notify.Config{SlackToken: "secret-token", SlackTokenFile: "f", SlackAPIURL: "x", PublicURL: "ftp://a", NewPerMinute: 99}).Check()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"SLACK_TOKEN_FILE", "SLACK_CHANNEL", "SLACK_API_URL", "PUBLIC_URL", "SLACK_TIMEOUT", "NOTIFY_FLUSH_EVERY",
		"NOTIFY_UPDATE_EVERY", "NOTIFY_QUIET", "NOTIFY_MAX_AGE", "NOTIFY_NEW_PER_MINUTE",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named in: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "secret-token") {
		t.Error("the error shows the token")
	}
}
