// Command etcd is etcd itself, built from the pinned module: `go install` of
// the server module is refused because its go.mod has replace directives. It
// adds nothing to etcd and is used by the local stack only.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
