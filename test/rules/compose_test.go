package rules

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What docker compose is given comes from its environment. Some names look set in any
// shell, but the shell keeps them to itself, and compose would take the default.
func TestCompose_uses_what_a_shell_exports(t *testing.T) {
	t.Parallel()
	own := []string{
		"UID", "EUID", "GID", "GROUPS", "PPID", "BASHPID", "HOSTNAME", "HOSTTYPE", "MACHTYPE", "OSTYPE", "RANDOM", "SECONDS", "LINENO",
	}
	text := string(read(t, "docker-compose.yml"))
	readme := string(read(t, "README.md"))
	variables := regexp.MustCompile(`\$\{([A-Z_]+)(:?[-?])?`).FindAllStringSubmatch(text, -1)
	if len(variables) == 0 {
		t.Fatal("docker-compose.yml takes no variable")
	}
	for _, v := range variables {
		if slices.Contains(own, v[1]) {
			t.Errorf("docker-compose.yml takes %s, which a shell does not export", v[1])
		}
		switch {
		case v[2] == "":
			t.Errorf("docker-compose.yml takes %s, which may be empty: give a default, or say that it must be set", v[1])
		case strings.HasSuffix(v[2], "?") && !strings.Contains(readme, v[1]+"="):
			t.Errorf("docker-compose.yml needs %s, and README.md does not show it", v[1])
		}
	}
}
