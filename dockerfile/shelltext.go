package dockerfile

import "strings"

// ReadShell reads the text of a shell script that stands in no Dockerfile, with
// the variables of its environment. Places in the answer are bytes of the text.
// An error says what in it is not valid, or not read.
func ReadShell(text string, env map[string]string) (*Script, error) {
	at := make([]int, len(text)+1)
	for i := range at {
		at[i] = i
	}
	return Step{vars: &variables{env: env}}.script(shellText{text: text, at: at})
}

// FromBytes is the range in Src of a stage's FROM, without the line break.
func (f *File) FromBytes(s Stage) (start, end int) { return f.lineRange(s.Start, s.fromEnd) }

// FromText is what the FROM of a stage names, as it is written: its flags and
// the image, without AS and the name.
func (f *File) FromText(s Stage) string {
	line, _, _ := Step{Instruction: Instruction{Start: s.Start, End: s.fromEnd}, file: f}.joined()
	words := strings.Fields(line)
	if n := len(words); n > 3 && strings.EqualFold(words[n-2], "AS") {
		words = words[:n-2]
	}
	return strings.Join(words[min(1, len(words)):], " ")
}
