package redact_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/envision/resiliency/pkg/redact"
)

// Secrets are put together here, so that no scanner takes this file for a leak.
const (
	aws    = "AKIA" + "IOSFODNN7EXAMPLE"
	google = "AIza" + "SyA1234567890abcdefghijklmnopqrstuv"
	github = "ghp_" + "abcdefghijklmnopqrstuvwxyz0123456789"
	bot    = "xoxb-" + "123456789012-abcdefghijkl"
	jwt    = "eyJ" + "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"
	pem    = "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEow\nIBAAKC\n-----END RSA " + "PRIVATE KEY-----"
)

func TestString(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"plain text stays", "job j-17 failed: exit code 3 (OOM) at 10:05", "job j-17 failed: exit code 3 (OOM) at 10:05"},
		{"prose about secrets stays", "invalid token: expired; secret \"db\" not found", "invalid token: expired; secret \"db\" not found"},
		{"url without credentials stays", "GET https://example.com/a?b=c@d", "GET https://example.com/a?b=c@d"},
		{"an address of mail stays", "owner a@example.com", "owner a@example.com"},
		{"aws", "key " + aws + ".", "key REDACTED."},
		{"google", "key=" + google + " x", "key=REDACTED x"},
		{"google oauth", "ya29." + "a0AfH6SMBxyz-abc", "REDACTED"},
		{"github", "clone with " + github, "clone with REDACTED"},
		{"slack", "post with " + bot, "post with REDACTED"},
		{"slack webhook", "https://hooks.slack.com/services/T0/B0/abc", "https://hooks.slack.com/services/REDACTED"},
		{"jwt", "got " + jwt + " back", "got REDACTED back"},
		{"pem", "a\n" + pem + "\nb", "a\nREDACTED\nb"},
		{"pem cut off", "a\n" + pem[:50], "a\nREDACTED"},
		{"bearer", "Authorization: Bearer abc.def-ghi", "Authorization: Bearer REDACTED"},
		{"bearer alone", "sent bearer abcdefghijklmnop, got 403", "sent bearer REDACTED, got 403"},
		{"header in json", `{"Authorization":"Basic dXNlcjpwYXNz"}`, `{"Authorization":"Basic REDACTED"}`},
		{"credentials in a url", "dial postgres://app:s3cr@t@db:5432/x", "dial postgres://REDACTED@db:5432/x"},
		{"token in a url", "https://" + "abc@example.com/x", "https://REDACTED@example.com/x"},
		{"password", "DB_PASSWORD=hunter two", "DB_PASSWORD=REDACTED two"},
		{"password in json", `{"password": "hun\"ter 2","a":1}`, `{"password": REDACTED,"a":1}`},
		{"password in json in json", `{\"password\":\"hunter2\",\"a\":1}`, `{\"password\":REDACTED,\"a\":1}`},
		{"password cut off", `{"db_password":"hunter 2`, `{"db_password":REDACTED`},
		{"password in yaml", "passwd: hunter2\nuser: a", "passwd: REDACTED\nuser: a"},
		{"token in a query", "GET /x?access_token=abc&y=1", "GET /x?access_token=REDACTED&y=1"},
		{"token with a digit", "token: abc1def", "token: REDACTED"},
		{"secret key of aws", "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG", "aws_secret_access_key = REDACTED"},
		{"flag", "run --db-password hunter2 --verbose", "run --db-password REDACTED --verbose"},
		{"flag without value", "run --token --verbose", "run --token --verbose"},
		{"zero width inside", "AKIA\u200b" + aws[4:], "REDACTED"},
		{"direction override", "a\u202Eb\u2066c", "abc"},
		{"controls", "a\x00b\x1b[31mc\td\r\ne\rf", "ab[31mc\td\ne\nf"},
		{"invalid utf-8", "a\xff\xfeb", "a\uFFFDb"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, redact.String(c.in)); diff != "" {
				t.Errorf("String (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLines_hide_a_key(t *testing.T) {
	t.Parallel()
	var lines redact.Lines
	var got []string
	for line := range strings.SplitSeq("a\n"+pem+"\nb", "\n") {
		got = append(got, lines.Next(line))
	}
	want := []string{"a", "REDACTED", "REDACTED", "REDACTED", "REDACTED", "b"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func BenchmarkString(b *testing.B) {
	line := "2026-11-21T10:00:00Z ERROR read gs://bucket/prefix/part-00017: context deadline exceeded (attempt 3 of 5)\n"
	for name, text := range map[string]string{
		"plain":  strings.Repeat(line, 100),
		"secret": strings.Repeat(line, 50) + "DB_PASSWORD=hunter2\n" + strings.Repeat(line, 50),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				redact.String(text)
			}
		})
	}
}

func FuzzString(f *testing.F) {
	for _, seed := range []string{"", "password=", `{"token":"`, "https://a:", "-----BEGIN X " + "PRIVATE KEY-----", "\xff\u202e", "--token "} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		for _, secret := range []string{aws, google, github, bot, jwt} {
			got := redact.String(before + " " + secret + " " + after)
			if !utf8.ValidString(got) || redact.Clean(got) != got {
				t.Fatalf("%q is not clean", got)
			}
			// A secret that the random parts hold by themselves does not count.
			if !strings.Contains(before+after, secret[:12]) && strings.Contains(got, secret) {
				t.Fatalf("%q shows a secret", got)
			}
		}
	})
}
