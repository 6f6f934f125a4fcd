package search

import "github.com/envision/resiliency/pkg/jobstore"

// Indexes are the composite indexes that the queries of this package need. All
// begin with the shard, so that the rising time bounds no collection's writes.
// Firestore merges those that end in the same order, so one for each equal
// condition serves every combination of them.
func Indexes() []jobstore.Index {
	of := func(equal ...string) jobstore.Index {
		index := jobstore.Index{Collection: collection, Fields: []jobstore.IndexField{{Path: fieldShard}}}
		for _, field := range equal {
			index.Fields = append(index.Fields, jobstore.IndexField{Path: field})
		}
		index.Fields = append(index.Fields, jobstore.IndexField{Path: fieldOrder, Descending: true})
		return index
	}
	return []jobstore.Index{of(), of("state"), of("stage"), of("cause"), of("owner"), of("tenant")}
}
