package notices

import "github.com/envision/resiliency/pkg/jobstore"

// Exemptions are the fields that must not be indexed. The texts of a notice are
// longer than an index entry may be, and nobody asks by them.
func Exemptions() []jobstore.Exemption {
	return []jobstore.Exemption{
		{Collection: CollectionNotices, Field: "notice"}, {Collection: CollectionNotices, Field: fieldExpire},
		{Collection: CollectionFacts, Field: "notice"}, {Collection: CollectionFacts, Field: fieldExpire},
	}
}

// TTLs are the fields by which documents expire.
func TTLs() []jobstore.TTL {
	return []jobstore.TTL{
		{Collection: CollectionNotices, Field: fieldExpire}, {Collection: CollectionFacts, Field: fieldExpire},
	}
}
