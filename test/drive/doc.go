// Package drive creates real Jobs whose end is declared beforehand, acts on
// some of them (suspends, resumes, deletes), keeps what Kubernetes itself says
// of each, and compares the product's records with both. Tests, the demo and
// the benchmarks share it.
//
// It judges the product from outside: it reads raw conditions and raw documents
// and never imports the product's own reading of either.
package drive
