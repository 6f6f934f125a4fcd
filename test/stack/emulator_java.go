package stack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/envision/resiliency/test/stack/proc"
)

// findSDK returns the root of a Google Cloud SDK that has both emulators, "" if
// this machine has none or no Java.
func findSDK(ctx context.Context) string {
	if _, err := exec.LookPath("java"); err != nil {
		return ""
	}
	for _, root := range sdkRoots() {
		if hasEmulators(root) {
			return root
		}
	}
	// The slow way last: gcloud takes a second to answer.
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "gcloud", "info", "--format=value(installation.sdk_root)").Output()
	if root := strings.TrimSpace(string(out)); err == nil && hasEmulators(root) {
		return root
	}
	return ""
}

func sdkRoots() []string {
	var roots []string
	if gcloud, err := exec.LookPath("gcloud"); err == nil {
		if real, err := filepath.EvalSymlinks(gcloud); err == nil {
			roots = append(roots, filepath.Dir(filepath.Dir(real)))
		}
	}
	if home, err := os.UserHomeDir(); err == nil {
		roots = append(roots, filepath.Join(home, "google-cloud-sdk"))
	}
	return append(roots, "/usr/lib/google-cloud-sdk", "/usr/share/google-cloud-sdk",
		"/usr/local/google-cloud-sdk", "/opt/google-cloud-sdk", "/snap/google-cloud-cli/current")
}

func hasEmulators(root string) bool {
	if root == "" {
		return false
	}
	_, firestore := firestoreJava(root, 0)
	_, pubsub := pubsubJava(root, 0)
	return firestore == nil && pubsub == nil
}

// firestoreJava and pubsubJava are the arguments of java. The SDK's own scripts
// are not used: they do not exec Java, so to kill them leaves it running.
func firestoreJava(sdk string, port int) ([]string, error) {
	jar := filepath.Join(sdk, "platform", "cloud-firestore-emulator", "cloud-firestore-emulator.jar")
	if _, err := os.Stat(jar); err != nil {
		return nil, fmt.Errorf("look for the Firestore emulator: %w", err)
	}
	return []string{
		"-Duser.language=en", "-cp", jar, "com.google.cloud.datastore.emulator.firestore.CloudFirestore",
		"start", "--host=127.0.0.1", "--port=" + strconv.Itoa(port), "--database-mode=firestore-native",
	}, nil
}

func pubsubJava(sdk string, port int) ([]string, error) {
	pattern := filepath.Join(sdk, "platform", "pubsub-emulator", "lib", "cloud-pubsub-emulator-*-all.jar")
	jars, err := filepath.Glob(pattern)
	if err != nil || len(jars) == 0 {
		return nil, fmt.Errorf("look for the Pub/Sub emulator: no file %s", pattern)
	}
	return []string{"-jar", jars[len(jars)-1], "--host=127.0.0.1", "--port=" + strconv.Itoa(port)}, nil
}

// javaEmulator is an emulator of the SDK as our own child.
type javaEmulator struct {
	*proc.Process
	kind emulatorKind
	addr string
}

func newJavaEmulator(l *launcher, kind emulatorKind, port int) (*javaEmulator, error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return nil, fmt.Errorf("look for java: %w", err)
	}
	args, err := kind.java(l.sdk, port)
	if err != nil {
		return nil, err
	}
	spec := proc.Spec{Name: kind.part, Path: java, Args: args, Env: os.Environ(), Dir: l.stack.mark.Dir()}
	return &javaEmulator{
		Process: proc.New(spec, l.stack.mark, l.stack.spawner), kind: kind, addr: loopback(port),
	}, nil
}

func (e *javaEmulator) Restart(ctx context.Context) error {
	if err := e.Kill(); err != nil {
		return err
	}
	if err := e.Start(); err != nil {
		return err
	}
	return awaitEmulator(ctx, e.kind, e.addr, 90*time.Second, e.Exited())
}
