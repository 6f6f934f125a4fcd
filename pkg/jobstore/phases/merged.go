package phases

import "maps"

// merged is what two writes of one document come to: the later fields, and the
// witnesses of both. Neither is changed.
func (d *Document) merged(later *Document) *Document {
	out := &Document{JobID: d.JobID, ID: d.ID, fields: maps.Clone(d.fields), size: max(d.size, later.size)}
	maps.Copy(out.fields, later.fields)
	witnesses := make(map[string]any, 2)
	for _, from := range []*Document{d, later} {
		if of, ok := from.fields[fieldWitnesses].(map[string]any); ok {
			maps.Copy(witnesses, of)
		}
	}
	out.fields[fieldWitnesses] = witnesses
	return out
}
