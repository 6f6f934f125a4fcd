// Package proc runs the processes of a local stack so that none is ever left
// behind: each is started in a process group of its own, dies with the process
// that started it, and carries a mark in its environment by which a later run
// knows it as its own.
//
// It never signals a process that does not carry the mark of its run directory:
// a pid in a stale file may belong to anybody by now.
package proc
