#!/usr/bin/env bash
# Builds the pinned build and test tools into .tools/bin, each one only when its
# pins, the Go version or this script's flags for it have changed.
#
#   tools/build.sh [group...]     groups: cluster, proto, lint, test, pages, all (default)
#   tools/build.sh stamp [tool..] takes the programs that are in .tools/bin for
#                                 built from the present pins (a restored cache)
#
# TOOLS_DIR chooses another folder than .tools. What a build prints goes to
# .tools/logs/<tool>.log; a failed build shows its last lines.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=${TOOLS_DIR:-$root/.tools}
export GOWORK=off GOFLAGS="-buildvcs=false -trimpath" CGO_ENABLED=0
# A variable of the caller's must not choose another target: the tools run here.
unset GOOS GOARCH

# One row a tool: name | group | module folder | programs | packages | usual seconds, cold.
# Programs of one row come from one `go build`, which shares their common packages.
# A package npm:<name>/<file> is fetched by npm, which holds it to the checksum of
# the module folder's lock file.
table="
kubernetes    | cluster | tools/kubernetes | kube-apiserver kube-controller-manager kube-scheduler kubectl | k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kube-controller-manager k8s.io/kubernetes/cmd/kube-scheduler k8s.io/kubernetes/cmd/kubectl | 300
etcd          | cluster | tools/etcd       | etcd                   | .                                                     | 25
kwok          | cluster | tools/kwok       | kwok kwokctl           | sigs.k8s.io/kwok/cmd/kwok sigs.k8s.io/kwok/cmd/kwokctl | 75
buf           | proto   | tools/buf        | buf                    | github.com/bufbuild/buf/cmd/buf                       | 90
protoc-gen-go | proto   | proto            | protoc-gen-go          | google.golang.org/protobuf/cmd/protoc-gen-go          | 5
golangci-lint | lint    | tools/lint       | golangci-lint          | github.com/golangci/golangci-lint/v2/cmd/golangci-lint | 180
gotestsum     | test    | tools/gotestsum  | gotestsum              | gotest.tools/gotestsum                                | 10
axe           | pages   | tools/axe        | axe.min.js             | npm:axe-core/axe.min.js                               | 5
"

row() { # row <tool>: sets group, module, programs, packages, usual
  local line name
  while IFS= read -r line; do
    IFS='|' read -r name group module programs packages usual <<<"$line"
    name=$(trim "$name")
    if [[ $name == "$1" ]]; then
      group=$(trim "$group") module=$(trim "$module") programs=$(trim "$programs")
      packages=$(trim "$packages") usual=$(trim "$usual")
      return 0
    fi
  done <<<"$table"
  echo "tools/build.sh: no tool $1" >&2
  return 2
}

trim() { local s=$1; s=${s#"${s%%[![:space:]]*}"}; printf '%s' "${s%"${s##*[![:space:]]}"}"; }

tools() { # tools <group>: names of the group's tools
  local line name group
  while IFS='|' read -r name group line; do
    name=$(trim "$name") group=$(trim "$group")
    if [[ -n $name && ($1 == all || $1 == "$group") ]]; then echo "$name"; fi
  done <<<"$table"
}

version_of() { # version_of <module folder> <module path>: version in its go.mod
  awk -v path="$2" '$1 == path || ($1 == "require" && $2 == path) { print ($1 == path) ? $2 : $3; exit }' "$root/$1/go.mod"
}

ldflags() { # ldflags <tool>
  local version major minor flags="-s -w"
  if [[ $1 == kubernetes ]]; then
    # Without these the API server says v0.0.0-master and clients refuse to guess.
    version=$(version_of "$module" k8s.io/kubernetes)
    IFS=. read -r major minor _ <<<"${version#v}"
    flags+=" -X k8s.io/component-base/version.gitVersion=$version"
    flags+=" -X k8s.io/component-base/version.gitMajor=$major"
    flags+=" -X k8s.io/component-base/version.gitMinor=$minor"
  fi
  printf '%s' "$flags"
}

digest() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -c1-64; }

stamp() { # stamp <tool>: what its programs depend on, as one line
  row "$1"
  {
    go env GOVERSION GOOS GOARCH
    printf '%s\n' "$packages" "$(ldflags "$1")" "$GOFLAGS" "$CGO_ENABLED"
    local file
    for file in go.mod go.sum main.go package-lock.json; do
      if [[ -f $root/$module/$file ]]; then echo "$file"; cat "$root/$module/$file"; fi
    done
  } | digest
}

fresh() { # fresh <tool>: programs are there and the stamp is that of the pins
  local program
  row "$1"
  for program in $programs; do [[ -x $dir/bin/$program ]] || return 1; done
  [[ -f $dir/stamps/$1 && $(<"$dir/stamps/$1") == "$(stamp "$1")" ]]
}

write_stamp() { # write_stamp <tool>
  mkdir -p "$dir/stamps"
  stamp "$1" >"$dir/stamps/$1"
}

compile() { # compile <tool>: into a folder aside, so that a running program is never half written
  local out
  row "$1"
  out=$(mktemp -d "$dir/build.XXXXXX")
  # Expanded now: when the subshell ends, the function's variables are gone.
  # shellcheck disable=SC2064
  trap "rm -rf '$out'" EXIT
  # shellcheck disable=SC2086 # packages are a list
  if [[ $packages == npm:* ]]; then
    fetch "$out" "${packages#npm:}"
  elif [[ $packages == . ]]; then
    go -C "$root/$module" build -ldflags "$(ldflags "$1")" -o "$out/$programs" .
  else
    go -C "$root/$module" build -ldflags "$(ldflags "$1")" -o "$out/" $packages
  fi
  mv -f "$out"/* "$dir/bin/"
}

fetch() { # fetch <folder> <file>: a file of a package, without running anything of it
  command -v npm >/dev/null || { echo "npm is not installed, which fetches $2 (Debian: npm)" >&2; return 1; }
  mkdir "$1/npm"
  cp "$root/$module/package.json" "$root/$module/package-lock.json" "$1/npm/"
  npm ci --prefix "$1/npm" --ignore-scripts --no-audit --no-fund --no-update-notifier
  install -m 755 "$1/npm/node_modules/$2" "$1/"
  rm -rf "$1/npm"
}

build() { # build <tool>: with progress
  local tool=$1 log=$dir/logs/$1.log start=$SECONDS next=$((SECONDS + 60)) status=0
  row "$tool"
  local label="$tool (usually ${usual} s the first time)"
  [[ -t 1 ]] || echo "  building $label"
  # A process group of its own, so that Ctrl-C ends compilers and linkers too.
  set -m
  (compile "$tool") >"$log" 2>&1 </dev/null &
  child=$!
  set +m
  while kill -0 "$child" 2>/dev/null; do
    if [[ -t 1 ]]; then
      printf '\r  building %s: %d s ' "$label" $((SECONDS - start))
    elif ((SECONDS >= next)); then
      echo "  building $tool: $((SECONDS - start)) s so far"
      next=$((SECONDS + 60))
    fi
    sleep 0.2
  done
  wait "$child" || status=$?
  child=
  [[ -t 1 ]] && printf '\r\033[K'
  if ((status != 0)); then
    printf '  %-16s FAILED after %d s; log: %s, its last lines:\n' "$tool" $((SECONDS - start)) "$log" >&2
    tail -n 15 "$log" >&2
    return 1
  fi
  write_stamp "$tool"
  printf '  %-16s built in %d s\n' "$tool" $((SECONDS - start))
}

child=
interrupted() {
  if [[ -n $child ]]; then kill -TERM -- "-$child" 2>/dev/null || true; fi
  echo >&2
  echo "tools/build.sh: interrupted; what was built stays" >&2
  exit 130
}
trap interrupted INT TERM

main() {
  local word tool
  local -a wanted=()
  command -v go >/dev/null || { echo "tools/build.sh: go is not installed: see https://go.dev/doc/install" >&2; exit 1; }
  mkdir -p "$dir/bin" "$dir/logs"
  # Two builds at once would write the same programs.
  if command -v flock >/dev/null; then exec 9>"$dir/lock"; flock 9; fi

  if [[ ${1:-} == stamp ]]; then
    shift
    [[ $# -gt 0 ]] || mapfile -t wanted < <(tools all)
    for tool in "$@" ${wanted[@]+"${wanted[@]}"}; do
      row "$tool"
      local missing=0
      for word in $programs; do [[ -x $dir/bin/$word ]] || missing=1; done
      if ((missing)); then echo "  $tool is not there"; else write_stamp "$tool"; echo "  $tool taken as it is"; fi
    done
    return
  fi

  for word in "${@:-all}"; do
    mapfile -t -O "${#wanted[@]}" wanted < <(tools "$word")
    if [[ -z $(tools "$word") ]]; then
      echo "tools/build.sh: no group $word; there are cluster, proto, lint, test, pages, all" >&2
      exit 2
    fi
  done
  for tool in "${wanted[@]}"; do
    fresh "$tool" || build "$tool"
  done
}

main "$@"
