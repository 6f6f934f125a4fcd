package notify

import (
	"errors"
	"fmt"
	"net/url"
	"time"
)

// Config is the configuration of notifications. Embed it in a service's own:
//
//	Notify notify.Config `embed:""`
//
// and call Check in its Validate.
type Config struct {
	// SlackToken is the bot token; scopes chat:write, and channels:history or
	// groups:history to search a channel after an answer was lost.
	SlackToken string `name:"slack-token" env:"SLACK_TOKEN" placeholder:"TOKEN" help:"Bot token of Slack (scopes chat:write and channels:history); without one, notices go to the log."`
	// SlackTokenFile is a file that holds it, such as a mounted secret.
	SlackTokenFile string `name:"slack-token-file" env:"SLACK_TOKEN_FILE" placeholder:"FILE" help:"File that holds the bot token."`
	// SlackChannel is where notices go, by id, which survives renaming.
	SlackChannel string `name:"slack-channel" env:"SLACK_CHANNEL" placeholder:"C0123456789" help:"Slack channel for notices, by id or name; the bot must be a member."`
	// SlackAPIURL replaces Slack's address.
	SlackAPIURL string `name:"slack-api-url" env:"SLACK_API_URL" placeholder:"URL" help:"Base of Slack's API, for a stand-in."`
	// SlackTimeout bounds one call.
	SlackTimeout time.Duration `name:"slack-timeout" env:"SLACK_TIMEOUT" default:"10s" help:"How long one call to Slack may take."`
	// PublicURL is where people reach this service's pages.
	PublicURL string `name:"public-url" env:"PUBLIC_URL" placeholder:"URL" help:"Where people reach this service, for links in notices."`
	// FlushEvery is how long facts of one kind are collected for one commit.
	FlushEvery time.Duration `name:"notify-flush-every" env:"NOTIFY_FLUSH_EVERY" default:"1s" help:"How long facts of one kind are collected before they are counted together."`
	// UpdateEvery is the least time between two updates of a message.
	UpdateEvery time.Duration `name:"notify-update-every" env:"NOTIFY_UPDATE_EVERY" default:"5s" help:"Least time between two updates of one message."`
	// Quiet is how long a kind must be quiet for its next fact to begin a new message.
	Quiet time.Duration `name:"notify-quiet" env:"NOTIFY_QUIET" default:"24h" help:"After this long without a fact of a kind the next one begins a new message."`
	// NewPerMinute is how many new messages a channel gets; others are folded into one.
	NewPerMinute int `name:"notify-new-per-minute" env:"NOTIFY_NEW_PER_MINUTE" default:"10" help:"How many new messages a channel gets in a minute; what is more is summed up in one."`
	// MaxAge is when a notice that cannot be sent is given up.
	MaxAge time.Duration `name:"notify-max-age" env:"NOTIFY_MAX_AGE" default:"72h" help:"How long a notice is tried before it is given up."`
}

// Enabled reports whether notices go to Slack.
func (c *Config) Enabled() bool { return c.SlackToken != "" || c.SlackTokenFile != "" }

// Check returns everything that is wrong, joined.
func (c *Config) Check() error {
	var errs []error
	wrong := func(variable, flag, rule string, value any) {
		errs = append(errs, fmt.Errorf("%s (--%s): must be %s, is %v", variable, flag, rule, value))
	}
	if c.SlackToken != "" && c.SlackTokenFile != "" {
		wrong("SLACK_TOKEN_FILE", "slack-token-file", "empty beside SLACK_TOKEN", fmt.Sprintf("%q", c.SlackTokenFile))
	}
	if c.Enabled() && c.SlackChannel == "" {
		wrong("SLACK_CHANNEL", "slack-channel", "set beside a token", `""`)
	}
	for _, v := range []struct{ value, variable, flag string }{
		{c.SlackAPIURL, "SLACK_API_URL", "slack-api-url"}, {c.PublicURL, "PUBLIC_URL", "public-url"},
	} {
		if _, err := parseBase(v.value); err != nil {
			wrong(v.variable, v.flag, "a URL such as https://resiliency.example.com", fmt.Sprintf("%q", v.value))
		}
	}
	for _, v := range []struct {
		value          time.Duration
		variable, flag string
		from, to       time.Duration
	}{
		{c.SlackTimeout, "SLACK_TIMEOUT", "slack-timeout", 100 * time.Millisecond, time.Minute},
		{c.FlushEvery, "NOTIFY_FLUSH_EVERY", "notify-flush-every", time.Millisecond, 10 * time.Second},
		{c.UpdateEvery, "NOTIFY_UPDATE_EVERY", "notify-update-every", 10 * time.Millisecond, time.Hour},
		{c.Quiet, "NOTIFY_QUIET", "notify-quiet", time.Second, 30 * 24 * time.Hour},
		{c.MaxAge, "NOTIFY_MAX_AGE", "notify-max-age", time.Minute, 14 * 24 * time.Hour},
	} {
		if v.value < v.from || v.value > v.to {
			wrong(v.variable, v.flag, fmt.Sprintf("from %s to %s", v.from, v.to), v.value)
		}
	}
	if c.NewPerMinute < 1 || c.NewPerMinute > 60 {
		wrong("NOTIFY_NEW_PER_MINUTE", "notify-new-per-minute", "from 1 to 60, as Slack takes one message a second", c.NewPerMinute)
	}
	return errors.Join(errs...)
}

// withDefaults fills what a caller that does not read it from flags left out.
func (c *Config) withDefaults() Config {
	out := *c
	set := func(v *time.Duration, def time.Duration) {
		if *v <= 0 {
			*v = def
		}
	}
	set(&out.SlackTimeout, 10*time.Second)
	set(&out.FlushEvery, time.Second)
	set(&out.UpdateEvery, 5*time.Second)
	set(&out.Quiet, 24*time.Hour)
	set(&out.MaxAge, 72*time.Hour)
	if out.NewPerMinute <= 0 {
		out.NewPerMinute = 10
	}
	return out
}

// parseBase reads an http URL; "" is none.
func parseBase(s string) (*url.URL, error) {
	if s == "" {
		return nil, nil //nolint:nilnil // no URL is no error
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("read URL %q: it is not of the form https://host", s)
	}
	return u, nil
}
