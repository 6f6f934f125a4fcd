// Package search finds jobs by what their records say: id, owner, state, stage,
// cause, tenant and time, newest first.
//
// Records are spread over shards, so that no index of a time bounds how fast they
// can be written; a search asks every shard and merges. It asks each for little
// and comes back for more only where more is needed: a page costs at most its size
// and one more from each shard, and mostly about twice its size in all. It reads
// the fields that a list shows, never whole records, and changes nothing.
package search
