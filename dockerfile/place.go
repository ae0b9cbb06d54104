package dockerfile

import "bytes"

// Stop is the place in Src where the statement of a command ends, its
// redirections included. It is false where a here-document belongs to it.
func (c Call) Stop() (int, bool) { return c.stop, c.stop > 0 }

// Continued is what ends a line that goes on with the next: the escape character
// and the line break of the file.
func (f *File) Continued() string {
	line := "\n"
	if i := bytes.IndexByte(f.Src, '\n'); i > 0 && f.Src[i-1] == '\r' {
		line = "\r\n"
	}
	return string(f.escape) + line
}

// Source is the instruction as it is written.
func (s Step) Source() string {
	start, end := s.Bytes()
	return string(s.file.Src[start:end])
}
