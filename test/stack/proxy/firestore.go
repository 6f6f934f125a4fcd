package proxy

import (
	"strings"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
)

// firestoreReader counts what Firestore bills: documents read, written, deleted.
func firestoreReader(method string) frameReader {
	switch method {
	case "Commit":
		return commitReader()
	case "BatchWrite":
		return batchWriteReader()
	case "BatchGetDocuments":
		return frameReader{response: readBatchGet}
	case "GetDocument":
		return getReader()
	case "RunQuery":
		return queryReader()
	case "RunAggregationQuery":
		return aggregationReader()
	case "ListDocuments":
		return listReader()
	case "Listen":
		return frameReader{response: readListen}
	default:
		return frameReader{}
	}
}

func commitReader() frameReader {
	var writes []*firestorepb.Write
	return frameReader{
		request: func(b []byte, _ *Counts) {
			if m, ok := decode(b, &firestorepb.CommitRequest{}); ok {
				writes = m.GetWrites()
			}
		},
		end: func(code codes.Code, counts *Counts) {
			if code != codes.OK {
				return
			}
			for _, w := range writes {
				countWrite(w, counts)
			}
		},
	}
}

func batchWriteReader() frameReader {
	var writes []*firestorepb.Write
	return frameReader{
		request: func(b []byte, _ *Counts) {
			if m, ok := decode(b, &firestorepb.BatchWriteRequest{}); ok {
				writes = m.GetWrites()
			}
		},
		response: func(b []byte, counts *Counts) {
			m, _ := decode(b, &firestorepb.BatchWriteResponse{})
			for i, s := range m.GetStatus() {
				if i < len(writes) && codes.Code(s.GetCode()) == codes.OK {
					countWrite(writes[i], counts)
				}
			}
		},
	}
}

func countWrite(w *firestorepb.Write, counts *Counts) {
	switch op := w.GetOperation().(type) {
	case *firestorepb.Write_Update:
		counts.Writes[collectionOf(op.Update.GetName())]++
	case *firestorepb.Write_Transform:
		counts.Writes[collectionOf(op.Transform.GetDocument())]++
	case *firestorepb.Write_Delete:
		counts.Deletes[collectionOf(op.Delete)]++
	}
}

func readBatchGet(b []byte, counts *Counts) {
	m, _ := decode(b, &firestorepb.BatchGetDocumentsResponse{})
	switch result := m.GetResult().(type) {
	case *firestorepb.BatchGetDocumentsResponse_Found:
		counts.Reads[collectionOf(result.Found.GetName())]++
	case *firestorepb.BatchGetDocumentsResponse_Missing:
		counts.Reads[collectionOf(result.Missing)]++
	}
}

func getReader() frameReader {
	var name string
	return frameReader{
		request: func(b []byte, _ *Counts) {
			m, _ := decode(b, &firestorepb.GetDocumentRequest{})
			name = m.GetName()
		},
		end: func(code codes.Code, counts *Counts) {
			if code == codes.OK || code == codes.NotFound {
				counts.Reads[collectionOf(name)]++
			}
		},
	}
}

func queryReader() frameReader {
	var collection string
	var found bool
	return frameReader{
		request: func(b []byte, _ *Counts) {
			m, _ := decode(b, &firestorepb.RunQueryRequest{})
			collection = queried(m.GetParent(), m.GetStructuredQuery())
		},
		response: func(b []byte, counts *Counts) {
			if m, _ := decode(b, &firestorepb.RunQueryResponse{}); m.GetDocument() != nil {
				found = true
				counts.Reads[collectionOf(m.GetDocument().GetName())]++
			}
		},
		end: func(code codes.Code, counts *Counts) {
			if code == codes.OK && !found {
				counts.Reads[collection]++
			}
		},
	}
}

func aggregationReader() frameReader {
	var collection string
	return frameReader{
		request: func(b []byte, _ *Counts) {
			m, _ := decode(b, &firestorepb.RunAggregationQueryRequest{})
			collection = queried(m.GetParent(), m.GetStructuredAggregationQuery().GetStructuredQuery())
		},
		end: func(code codes.Code, counts *Counts) {
			if code == codes.OK {
				counts.Reads[collection]++
			}
		},
	}
}

func listReader() frameReader {
	var collection string
	return frameReader{
		request: func(b []byte, _ *Counts) {
			m, _ := decode(b, &firestorepb.ListDocumentsRequest{})
			collection = collectionOf(m.GetParent() + "/" + m.GetCollectionId() + "/x")
		},
		response: func(b []byte, counts *Counts) {
			m, _ := decode(b, &firestorepb.ListDocumentsResponse{})
			counts.Reads[collection] += int64(max(1, len(m.GetDocuments())))
		},
	}
}

func readListen(b []byte, counts *Counts) {
	m, _ := decode(b, &firestorepb.ListenResponse{})
	if doc := m.GetDocumentChange().GetDocument(); doc != nil {
		counts.Reads[collectionOf(doc.GetName())]++
	}
}

// queried is the collection of a query; "*/phases" for a collection group.
func queried(parent string, query *firestorepb.StructuredQuery) string {
	if len(query.GetFrom()) == 0 {
		return ""
	}
	from := query.GetFrom()[0]
	if from.GetAllDescendants() {
		return "*/" + from.GetCollectionId()
	}
	return collectionOf(parent + "/" + from.GetCollectionId() + "/x")
}

// collectionOf is the path of a document's collection, with the ids of the
// documents above it replaced: ".../documents/jobs/j1/phases/p1" gives
// "jobs/*/phases". Ids must not become keys: there is no end of them.
func collectionOf(document string) string {
	_, path, ok := strings.Cut(document, "/documents/")
	if !ok {
		return ""
	}
	parts := strings.Split(path, "/")
	for i := 1; i < len(parts); i += 2 {
		parts[i] = "*"
	}
	return strings.Join(parts[:len(parts)-1], "/")
}
