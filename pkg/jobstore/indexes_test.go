package jobstore_test

import (
	"cmp"
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/envision/resiliency/pkg/jobstore"
	"github.com/envision/resiliency/pkg/jobstore/ledger"
	"github.com/envision/resiliency/pkg/jobstore/letters"
	"github.com/envision/resiliency/pkg/jobstore/notices"
	"github.com/envision/resiliency/pkg/jobstore/phases"
	"github.com/envision/resiliency/pkg/jobstore/runs"
	"github.com/envision/resiliency/pkg/jobstore/search"
)

var update = flag.Bool("update", false, "write deploy/gcp/firestore.indexes.json")

// indexFile is what `firebase deploy --only firestore:indexes` and Terraform read.
const indexFile = "../../deploy/gcp/firestore.indexes.json"

type indexes struct {
	Indexes        []index    `json:"indexes"`
	FieldOverrides []override `json:"fieldOverrides"`
}

type index struct {
	CollectionGroup string  `json:"collectionGroup"`
	QueryScope      string  `json:"queryScope"`
	Fields          []field `json:"fields"`
}

type field struct {
	FieldPath string `json:"fieldPath"`
	Order     string `json:"order"`
}

type override struct {
	CollectionGroup string `json:"collectionGroup"`
	FieldPath       string `json:"fieldPath"`
	TTL             bool   `json:"ttl,omitempty"`
	// Indexes is empty: the field has none.
	Indexes []field `json:"indexes"`
}

// tables are what the packages ask for.
func tables() (indexes []jobstore.Index, exemptions []jobstore.Exemption, ttls []jobstore.TTL) {
	return slices.Concat(jobstore.Indexes(), letters.Indexes(), runs.Indexes(),
			phases.Indexes(), search.Indexes(), ledger.Indexes()),
		slices.Concat(jobstore.Exemptions(), letters.Exemptions(), runs.Exemptions(),
			phases.Exemptions(), ledger.Exemptions(), notices.Exemptions()),
		slices.Concat(jobstore.TTLs(), letters.TTLs(), runs.TTLs(), phases.TTLFields(), ledger.TTLs(), notices.TTLs())
}

// wanted is the tables in the form of the file.
func wanted() indexes {
	var out indexes
	all, exemptions, ttls := tables()
	for _, x := range all {
		entry := index{CollectionGroup: x.Collection, QueryScope: "COLLECTION"}
		for _, f := range x.Fields {
			order := "ASCENDING"
			if f.Descending {
				order = "DESCENDING"
			}
			entry.Fields = append(entry.Fields, field{f.Path, order})
		}
		out.Indexes = append(out.Indexes, entry)
	}
	for _, x := range exemptions {
		out.FieldOverrides = append(out.FieldOverrides, override{
			CollectionGroup: x.Collection, FieldPath: x.Field, Indexes: []field{}, TTL: slices.Contains(ttls, jobstore.TTL(x)),
		})
	}
	return out
}

func (x *indexes) sort() {
	slices.SortFunc(x.Indexes, func(a, b index) int {
		return cmp.Or(cmp.Compare(a.CollectionGroup, b.CollectionGroup), cmp.Compare(a.Fields[0].FieldPath, b.Fields[0].FieldPath))
	})
	slices.SortFunc(x.FieldOverrides, func(a, b override) int {
		return cmp.Or(cmp.Compare(a.CollectionGroup, b.CollectionGroup), cmp.Compare(a.FieldPath, b.FieldPath))
	})
}

// TestIndexes_AreDeployed keeps what is deployed equal to what queries need: the
// emulator runs any query, and production refuses one without its index.
func TestIndexes_AreDeployed(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(indexFile)
	if err != nil && !*update {
		t.Fatal(err)
	}
	var file indexes
	if err := json.Unmarshal(data, &file); err != nil && !*update {
		t.Fatal(err)
	}
	want := wanted()
	want.sort()
	if *update {
		text, err := json.MarshalIndent(want, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(indexFile, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	file.sort()
	if diff := gocmp.Diff(want, file); diff != "" {
		t.Errorf("deploy/gcp/firestore.indexes.json is not what the queries need (go test -run Indexes -update; -want +got):\n%s", diff)
	}
	_, exemptions, ttls := tables()
	for _, x := range ttls {
		if !slices.Contains(exemptions, jobstore.Exemption(x)) {
			t.Errorf("the TTL field %s.%s is indexed: it rises with time", x.Collection, x.Field)
		}
	}
}

// kept are the collections whose documents do not expire by themselves.
var kept = map[string]string{
	"jobs":   "a job's record is the truth about it",
	"outbox": "what has not been sent must not be lost; what was sent is deleted",
	"audit":  "what people did stays on record",
	"leases": "one document for each lease, written over and over",
}

// declared is how the packages name their collections.
var declared = regexp.MustCompile(`(?m)^(?:const)?\s+[cC]ollection\w*\s+=\s+"(\w+)"`)

// TestTTLs_CoverEveryCollection keeps a collection from growing for ever because
// nobody thought of its end.
func TestTTLs_CoverEveryCollection(t *testing.T) {
	t.Parallel()
	_, _, ttls := tables()
	found := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, match := range declared.FindAllSubmatch(source, -1) {
			found[string(match[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for collection := range found {
		expires := slices.ContainsFunc(ttls, func(x jobstore.TTL) bool { return x.Collection == collection })
		if _, stays := kept[collection]; expires == stays {
			t.Errorf("documents of %s: TTL %t, said to be kept %t; one of both is needed", collection, expires, stays)
		}
	}
	for _, x := range ttls {
		if !found[x.Collection] && x.Collection != "instances" { // below a heartbeat, named by a path
			t.Errorf("TTL on %s, which no package declares", x.Collection)
		}
	}
}
