// Package chart lays a timeline out as a waterfall: which row a phase has, where
// its bar begins on the time axis and how long it is, which ticks the axis has,
// and what is folded away where there are too many phases to read.
//
// It is pure, and draws nothing itself: templates make SVG of it. Places along
// the axis are in percent, so that the picture fits any width while its texts
// keep their size. It never leaves out what failed or is open.
package chart
