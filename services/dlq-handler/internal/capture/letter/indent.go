package letter

import "bytes"

// indent is the beginning of valid JSON, indented by two spaces a level, in about
// limit bytes. encoding/json's own would first write all of it, and indentation
// multiplies: half a megabyte of brackets within brackets makes gigabytes.
func indent(data []byte, limit int) string {
	var out bytes.Buffer
	depth, quoted, fresh := 0, false, false // fresh: a bracket was opened and holds nothing yet
	line := func() {
		out.WriteByte('\n')
		for range depth {
			out.WriteString("  ")
		}
	}
	for i := 0; i < len(data) && out.Len() < limit; i++ {
		c := data[i]
		if quoted {
			out.WriteByte(c)
			switch c {
			case '\\':
				i++
				out.WriteByte(data[i]) // valid JSON does not end here
			case '"':
				quoted = false
			}
			continue
		}
		switch c {
		case ' ', '\t', '\r', '\n':
			continue
		case '}', ']':
			depth--
			if !fresh {
				line()
			}
			fresh = false
		default:
			if fresh {
				line()
			}
			fresh = c == '{' || c == '['
		}
		out.WriteByte(c)
		switch c {
		case '"':
			quoted = true
		case '{', '[':
			depth++
		case ',':
			line()
		case ':':
			out.WriteByte(' ')
		}
	}
	return out.String()
}
