// Package watermark keeps on record how far the cluster's changes are
// published, so that a restart, or another replica, publishes just what is new.
//
// A watermark holds a resource version for each stream (one watch: Jobs or Pods
// of one namespace). It claims: of every object of the stream, all that follows
// from its changes up to there is confirmed, or was refused for good and
// counted. It is computed by internal/deliver, kept in a ConfigMap, and written
// by the leader alone, at most once a second and at the end. This package never
// looks at an object and never decides what is pending.
//
// Why nothing can be lost by it:
//
//   - A stream is said to be reached only up to a change that was handed over,
//     with everything before it: a watch gives changes in order, and of a list,
//     whose order means nothing, only the end counts. Until a stream is listed,
//     it keeps the level that was loaded. So a relist cannot move the level past
//     an object that was not looked at, nor one namespace that of another.
//   - A fact is marked by the changes that it follows from (a Pod's by the Pod and
//     by its Job, since it needs both), and while it is pending it holds every one
//     of those streams below its mark.
//   - The claim is about all streams of a namespace together, so it is the loaded
//     one or this process's own, never a mixture: a process on standby may know a
//     Pod whose Job only the leader had seen.
//   - The reverse: a fact is taken for published only if the levels of all its
//     marks cover it. Hence a Job that is news makes its Pods speak again.
//   - What only a list tells, a state or a deletion, came about at some change
//     after the last one seen: while it is pending it holds all of them, and only
//     the object's own version, for a deletion the list's, covers it. A replica
//     that saw the changes one by one keeps each until the leader has dealt with it.
//   - An Update with a new UID is the deletion of one object and the creation of
//     another, each marked so. Forgetting an object moves no level.
//   - What was refused for good moves the level on: it would be refused again. So does
//     a phase that was dropped, its topic being gone for long while claims go on: held
//     below it, the level would stand still until a restart, and all that follows would
//     be kept on standby. It is counted, and for --resync.
//     What panicked while it was read is lost until its next change or --resync.
//   - Lower is always safe: it only means that more is published again, under ids
//     that make it harmless. Hence a level that was read before a list was asked for and
//     is above it (lists are the newest there are, so the cluster was restored), an
//     unreadable one, or a watermark of another cluster, cluster name or receiver is
//     dropped, and of two writers either may win. One above the list that was stored
//     since is of a leader that has gone on, and stays.
//     A level of before a restore is not believed later either, when a leader that had
//     not noticed stores it and dies.
//   - A process that dies between a confirmation and the save has saved less.
//
// What it cannot tell again: a dropped phase. What it cannot know: whether the receiver kept what it confirmed (a Pub/Sub
// emulator restarted empty), and annotations of facts that a later release
// would read from old objects. All are for `event-streamer --resync`.
package watermark
