// Package witness compares the sources that tell of the same jobs: who brings
// facts first, who repeats them, and who has fallen silent while another speaks.
// Two sources fail apart, so the silence of one goes unnoticed by the records,
// and is noticed here.
//
// It only watches. It never decides what counts as true.
package witness
