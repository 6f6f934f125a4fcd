package proto_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// newRelease asks for the bytes of a new release to be written.
var newRelease = flag.String("release", "", "write samples of a new release, for example v1.2.3")

// TestReleases_stay_readable decodes what every earlier release wrote. A file is
// named <Message>.<case>.binpb; beside it is the same message as JSON.
func TestReleases_stay_readable(t *testing.T) {
	t.Parallel()
	if *newRelease != "" {
		writeRelease(t, filepath.Join("testdata", *newRelease))
	}
	files, err := filepath.Glob("testdata/*/*.binpb")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("testdata holds no release")
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(strings.TrimPrefix(name, "testdata/"), ".binpb"), func(t *testing.T) {
			t.Parallel()
			readSample(t, name)
		})
	}
}

func readSample(t *testing.T, name string) {
	t.Helper()
	wire, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(strings.TrimSuffix(name, ".binpb") + ".json")
	if err != nil {
		t.Fatal(err)
	}
	message, _, _ := strings.Cut(filepath.Base(name), ".")
	kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName("envision.resiliency.v1." + message))
	if err != nil {
		t.Fatalf("a message of an earlier release is gone: %v", err)
	}
	got, want := kind.New().Interface(), kind.New().Interface()
	if err := proto.Unmarshal(wire, got); err != nil {
		t.Fatalf("decode bytes: %v", err)
	}
	if err := protojson.Unmarshal(text, want); err != nil {
		t.Fatalf("decode JSON: %v", err)
	}
	if !proto.Equal(want, got) {
		t.Errorf("bytes say\n%s\nwant\n%s", protojson.Format(got), protojson.Format(want))
	}
}

// writeRelease writes one sample for every case of every message.
func writeRelease(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatalf("a release is written once: %v", err)
	}
	for _, m := range topLevel(t) {
		cases := m.Oneofs().ByName("event").Fields()
		for i := range cases.Len() {
			name := filepath.Join(dir, string(m.Name())+"."+string(cases.Get(i).Name()))
			writeSample(t, name, sample(t, m, cases.Get(i)))
		}
	}
}

func writeSample(t *testing.T, name string, message proto.Message) {
	t.Helper()
	wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	text, err := protojson.MarshalOptions{UseProtoNames: true, Multiline: true}.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	for ending, content := range map[string][]byte{".binpb": wire, ".json": append(text, '\n')} {
		if err := os.WriteFile(name+ending, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
