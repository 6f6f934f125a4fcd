package redact

import "regexp"

// rule replaces what a pattern finds. hints are texts one of which every match
// holds, in lower case: most texts hold none, and a look is much cheaper than
// the pattern.
type rule struct {
	pattern *regexp.Regexp
	with    string
	hints   []string
}

const (
	// nameHead and nameTail stand around the words that a secret is called by.
	nameHead = `(?i)([\w.-]*(?:`
	nameTail = `)[\w.-]*\\*["']?\s*`
	// sure are words whose value is a secret, likely those whose value may be.
	sure = `passw(?:or)?d|passphrase|pwd|secret[_-]?access[_-]?key|client[_-]?secret|` +
		`api[_-]?key|private[_-]?key|access[_-]?key`
	likely = `secret|token|credentials?|signature`
	// quoted is a value in quotes, also of JSON within JSON, to the end of the
	// line when the closing quote was cut off.
	quoted = `"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?|\\+"[^"\\\n]*(?:\\+")?`
	bare   = `[^\s,;&"'<>{}()\[\]\\]+`
)

var sureHints = []string{
	"passw", "passphrase", "pwd", "secret", "key",
}

var likelyHints = []string{
	"secret", "token", "credential", "signature",
}

var flagHints = []string{
	"passw", "passphrase", "pwd", "secret", "key", "token",
}

var rules = []rule{
	{ // A private key, to the end of the text when its end was cut off.
		regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?` +
			`(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\z)`),
		Mark, []string{"private key"},
	},
	{ // Who logs in by URL. Greedy up to the last @, since a password may hold one.
		regexp.MustCompile(`(?i)([a-z][a-z0-9+.-]*://)[^\s/?#"'<>]+@`),
		"${1}" + Mark + "@", []string{"://"},
	},
	{ // The address of a webhook is its secret.
		regexp.MustCompile(`(?i)(https://hooks\.slack\.com/[a-z]+/)[A-Za-z0-9/_-]+`),
		"${1}" + Mark, []string{"hooks.slack.com"},
	},
	{ // JWT and JWE.
		regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){1,4}`),
		Mark, []string{"eyj"},
	},
	{
		regexp.MustCompile(`(?i)(\b(?:proxy-)?authorization\\*["']?\s*[:=]\s*\\*["']?` +
			`(?:(?:bearer|basic|digest|token|negotiate|apikey)\s+)?)[^\s"'\\,;]+`),
		"${1}" + Mark, []string{"authorization"},
	},
	{
		regexp.MustCompile(`(?i)\b((?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{12,}`),
		"${1}" + Mark, []string{"bearer", "basic"},
	},
	{ // AWS.
		regexp.MustCompile(`\b(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AROA|ANPA)[A-Z0-9]{16}\b`),
		Mark, []string{"a3t", "akia", "asia", "abia", "acca", "agpa", "aida", "aroa", "anpa"},
	},
	{ // Google.
		regexp.MustCompile(`\bAIza[A-Za-z0-9_-]{30,}|\bya29\.[A-Za-z0-9._-]{10,}|` +
			`\b1//0[A-Za-z0-9_-]{20,}|\bGOCSPX-[A-Za-z0-9_-]{10,}`),
		Mark, []string{"aiza", "ya29.", "1//0", "gocspx-"},
	},
	{ // GitHub and GitLab.
		regexp.MustCompile(`\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|` +
			`gl(?:pat|dt|rt|cbt)-[A-Za-z0-9_-]{16,})`),
		Mark, []string{"gh", "gl"},
	},
	{ // Slack.
		regexp.MustCompile(`\b(?:xox[a-z]-[A-Za-z0-9-]{8,}|xapp-[A-Za-z0-9-]{8,}|xoxe\.[A-Za-z0-9.-]{8,})`),
		Mark, []string{"xox", "xapp-"},
	},
	{ // Others with a prefix of their own.
		regexp.MustCompile(`\b(?:[sr]k_(?:live|test)_[A-Za-z0-9]{10,}|sk-[A-Za-z0-9_-]{20,}|hf_[A-Za-z0-9]{20,}|` +
			`npm_[A-Za-z0-9]{20,}|pypi-[A-Za-z0-9_-]{20,}|hvs\.[A-Za-z0-9_-]{20,})`),
		Mark, []string{"k_", "sk-", "hf_", "npm_", "pypi-", "hvs."},
	},
	{
		regexp.MustCompile(nameHead + sure + nameTail + `(?::=|=>|[:=])\s*)(?:` + quoted + `|` + bare + `)`),
		"${1}" + Mark, sureHints,
	},
	{
		regexp.MustCompile(nameHead + likely + nameTail + `(?:=>|:=|[:=])\s*)(?:` + quoted + `)`),
		"${1}" + Mark, likelyHints,
	},
	{
		regexp.MustCompile(nameHead + likely + nameTail + `=\s*)` + bare),
		"${1}" + Mark, likelyHints,
	},
	{ // After "token:" a bare word more often is prose ("invalid token: expired") than a secret: it must hold a digit.
		regexp.MustCompile(nameHead + likely + nameTail + `:\s*)[A-Za-z_./+-]*[0-9]` + bare),
		"${1}" + Mark, likelyHints,
	},
	{ // A flag with its value as the next word.
		regexp.MustCompile(`(?i)(--?[\w-]*(?:` + sure + `|secret|token)[\w-]*[ \t]+)(?:` + quoted + `|[^\s"'\\-][^\s"'\\]*)`),
		"${1}" + Mark, flagHints,
	},
}
