package slackpost

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/slack-go/slack"

	"github.com/envision/resiliency/pkg/notify"
)

// meaning is what an error of Slack's means. Source of the codes: Slack's
// reference of chat.postMessage, chat.update and conversations.history.
type meaning struct {
	kind   notify.SendErrorKind
	remedy string
}

const (
	remedyToken   = "Give the service a valid bot token (SLACK_TOKEN) and restart it."
	remedyScope   = "Add the scope chat:write to the Slack app, install it again, and use its new token."
	remedySearch  = "Add the scope channels:history (groups:history for a private channel), or messages may be posted twice after an outage."
	remedyInvite  = "Invite the app to the channel (/invite), and set SLACK_CHANNEL to the channel's id."
	remedyArchive = "Unarchive the channel or set SLACK_CHANNEL to another one."
	remedyPolicy  = "Let the app post to the channel (its posting permissions, or the workspace's policy)."
)

var meanings = map[string]meaning{
	"invalid_auth":                             {notify.KindDenied, remedyToken},
	"not_authed":                               {notify.KindDenied, remedyToken},
	"account_inactive":                         {notify.KindDenied, remedyToken},
	"token_revoked":                            {notify.KindDenied, remedyToken},
	"token_expired":                            {notify.KindDenied, remedyToken},
	"not_allowed_token_type":                   {notify.KindDenied, remedyToken},
	"access_denied":                            {notify.KindDenied, remedyToken},
	"no_permission":                            {notify.KindDenied, remedyScope},
	"missing_scope":                            {notify.KindDenied, remedyScope},
	"org_login_required":                       {notify.KindDenied, remedyPolicy},
	"ekm_access_denied":                        {notify.KindDenied, remedyPolicy},
	"team_access_not_granted":                  {notify.KindDenied, remedyPolicy},
	"channel_not_found":                        {notify.KindChannel, remedyInvite},
	"not_in_channel":                           {notify.KindChannel, remedyInvite},
	"is_archived":                              {notify.KindChannel, remedyArchive},
	"restricted_action":                        {notify.KindChannel, remedyPolicy},
	"restricted_action_read_only_channel":      {notify.KindChannel, remedyPolicy},
	"restricted_action_thread_only_channel":    {notify.KindChannel, remedyPolicy},
	"restricted_action_non_threadable_channel": {notify.KindChannel, remedyPolicy},
	"restricted_action_thread_locked":          {notify.KindContent, ""},
	"cannot_reply_to_message":                  {notify.KindContent, ""},
	"invalid_blocks":                           {notify.KindContent, ""},
	"invalid_blocks_format":                    {notify.KindContent, ""},
	"msg_blocks_too_long":                      {notify.KindContent, ""},
	"msg_too_long":                             {notify.KindContent, ""},
	"no_text":                                  {notify.KindContent, ""},
	"invalid_arguments":                        {notify.KindContent, ""},
	"invalid_metadata_format":                  {notify.KindContent, ""},
	"metadata_too_large":                       {notify.KindContent, ""},
	"message_not_found":                        {notify.KindGone, ""},
	"thread_not_found":                         {notify.KindGone, ""},
	"cant_update_message":                      {notify.KindGone, ""},
	"edit_window_closed":                       {notify.KindGone, ""},
	"is_inactive":                              {notify.KindGone, ""},
	"ratelimited":                              {notify.KindLimited, ""},
	"rate_limited":                             {notify.KindLimited, ""},
	"message_limit_exceeded":                   {notify.KindLimited, ""},
}

// unsaidRest is how long to wait when Slack limits without saying for how long.
const unsaidRest = 30 * time.Second

// classify says what an error of the client means.
func classify(what string, err error) *notify.SendError {
	out := &notify.SendError{Kind: notify.KindDown, Err: fmt.Errorf("%s: %w", what, err)}
	if limited, ok := errors.AsType[*slack.RateLimitedError](err); ok {
		out.Kind, out.Code, out.RetryAfter = notify.KindLimited, "ratelimited", limited.RetryAfter
		return out
	}
	if answer, ok := errors.AsType[slack.SlackErrorResponse](err); ok {
		return answered(out, answer.Err)
	}
	if code, ok := errors.AsType[slack.StatusCodeError](err); ok {
		return status(out, code.Code)
	}
	out.Code, out.MaySent = "no_answer", true
	if errors.Is(err, context.DeadlineExceeded) {
		out.Code = "timeout"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		// Nobody was reached, so nobody took the message.
		out.Code, out.MaySent = "unreachable", false
	}
	return out
}

// answered is an error that Slack named.
func answered(out *notify.SendError, code string) *notify.SendError {
	m, known := meanings[code]
	if !known {
		// internal_error, fatal_error, service_unavailable and what is new. Slack
		// says of some of them that part of the work may have been done.
		out.Code, out.MaySent = "other", true
		return out
	}
	out.Kind, out.Code, out.Remedy = m.kind, code, m.remedy
	if m.kind == notify.KindLimited {
		out.RetryAfter = unsaidRest
	}
	return out
}

// status is an HTTP status that is no answer of the API.
func status(out *notify.SendError, code int) *notify.SendError {
	switch {
	case code == http.StatusTooManyRequests:
		out.Kind, out.Code, out.RetryAfter = notify.KindLimited, "ratelimited", unsaidRest
	case code >= http.StatusInternalServerError:
		out.Code, out.MaySent = "http_5xx", true
	default:
		// A proxy, or an address that is not Slack's: nobody read the message.
		out.Code, out.Remedy = "http_other", "Check SLACK_API_URL and any proxy on the way to Slack."
	}
	return out
}
