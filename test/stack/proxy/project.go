package proxy

import (
	"bytes"
	"context"
	"net/url"
	"strings"

	"google.golang.org/grpc/metadata"
)

// newCall reads off a call what faults and counts go by. first may be nil.
func newCall(ctx context.Context, method string, first any) *call {
	c := &call{method: method, cut: make(chan struct{})}
	if first != nil {
		_ = withBytes(first, func(b []byte) { c.first = bytes.Clone(b) })
	}
	md, _ := metadata.FromIncomingContext(ctx)
	c.project = projectOf(md, c.first)
	return c
}

// projectOf finds the GCP project of a call: in the headers that Google's
// clients send, else in the first message, where resource names are plain text.
func projectOf(md metadata.MD, first []byte) string {
	for _, value := range md.Get("google-cloud-resource-prefix") {
		if project := projectIn(value); project != "" {
			return project
		}
	}
	for _, value := range md.Get("x-goog-request-params") {
		if plain, err := url.QueryUnescape(value); err == nil {
			if project := projectIn(plain); project != "" {
				return project
			}
		}
	}
	if at := bytes.Index(first, []byte("projects/")); at >= 0 {
		return projectIn(string(first[at:min(len(first), at+64)]))
	}
	return ""
}

// projectIn returns what follows "projects/" in a resource name. In a message
// the name may be followed by anything, so the id ends at the first byte that
// no id holds.
func projectIn(name string) string {
	_, rest, ok := strings.Cut(name, "projects/")
	if !ok {
		return ""
	}
	end := strings.IndexFunc(rest, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-')
	})
	if end >= 0 {
		rest = rest[:end]
	}
	return rest
}
