// Package dockerfile reads Dockerfiles: which of their lines made the layers of
// an image, what holds at each instruction, and what the shell text of RUN, CMD
// and ENTRYPOINT would run. It also applies edits to the bytes of one, and shows
// them as a diff.
//
// It is the only door to BuildKit's parser, so that what it accepts is what
// builds, and lines are counted as builders count them; and to the parser of
// shell text. It builds nothing, runs nothing and pulls nothing: what a base image
// brings along (its environment, working directory, triggers) is not known here,
// and treated as unknown rather than guessed.
//
// Always true: every file that [Parse] accepts has a stage, the parent of a
// stage stands before it, and hostile bytes end in an error with a line. A
// layer whose instruction is not certain has no origin, and a word whose value
// is not certain is not Known; none is better than a wrong one. The places of
// steps, commands and words are bytes of Src, and an edit changes those that it
// names and no others.
package dockerfile

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// MaxSize is how long a Dockerfile may be, in bytes. BuildKit has no such
// limit; the longest ones that people write by hand have some 50 kB.
const MaxSize = 1 << 20

const (
	// maxNesting bounds "${a:-${b:-…}}", which BuildKit expands recursively.
	maxNesting = 100
	// maxMessage bounds the text of an error, which may quote a whole line.
	maxMessage = 300
)

// File is a parsed Dockerfile.
type File struct {
	// Name is what the file is called in errors and origins.
	Name string
	// Src is the text as it was given.
	Src []byte
	// Stages has at least one, in the order of the file.
	Stages []Stage

	escape rune
	// lines are the places of the first byte of each line.
	lines []int
	// global are the ARG instructions before the first FROM.
	global []instructions.KeyValuePairOptional
}

// Stage is a FROM and what follows it.
type Stage struct {
	// Name is what AS says, in lower case, "" without it.
	Name string
	// Index counts from 0.
	Index int
	// Base and Platform are what FROM says, with the build arguments that are
	// known put in. An argument without a value stays as it is written.
	Base, Platform string
	// Parent is the index of the stage that Base names, -1 where Base is an
	// image or scratch.
	Parent int
	// Start is the line of FROM, End the last line of the stage's last
	// instruction. Lines count from 1.
	Start, End int
	// Instructions are those after FROM.
	Instructions []Instruction

	from instructions.Stage
	// fromEnd is the last line of FROM itself.
	fromEnd int
}

// Instruction is one instruction of a stage.
type Instruction struct {
	// Keyword is in upper case: "RUN".
	Keyword string
	// Start and End are its lines; they count from 1, End is included, and
	// continuation lines and heredocs belong to it.
	Start, End int
	// Text is the instruction in one line, without comments. Of a heredoc it
	// has the first line. It is as foreign as the file is.
	Text string
	// From is the index of the stage that COPY --from names, -1 for none.
	From int
	// FromImage is what COPY --from names where it is not a stage.
	FromImage string
	// MakesLayer tells whether it can add files: RUN, COPY, ADD, and WORKDIR,
	// which makes a layer only if the directory was not there.
	MakesLayer bool

	command instructions.Command
}

// Parse reads a Dockerfile the way BuildKit does. Errors begin with name and
// line: "Dockerfile:3: unknown instruction: RUNN (did you mean RUN?)".
func Parse(name string, src []byte) (*File, error) {
	if len(src) > MaxSize {
		return nil, fmt.Errorf("%s: the file has %d bytes, more than the %d that are read", name, len(src), MaxSize)
	}
	if line := deepNesting(src); line > 0 {
		return nil, fmt.Errorf("%s:%d: variables are nested more than %d deep", name, line, maxNesting)
	}
	if at := bytes.IndexByte(src, 0); at >= 0 {
		return nil, fmt.Errorf("%s:%d: the line has a NUL character, which no Dockerfile has", name, 1+bytes.Count(src[:at], []byte("\n")))
	}
	if line := longLine(src); line > 0 {
		return nil, fmt.Errorf("%s:%d: the line is longer than the %d bytes that builders read", name, line, maxLine)
	}
	f := &File{Name: name, Src: src, lines: lineStarts(src)}
	if err := guard(f.read); err != nil {
		err = place(name, err)
		if frontend := otherFrontend(src); frontend != "" {
			err = fmt.Errorf("%w; the file is for the frontend %s, which this tool does not read", err, frontend)
		}
		return nil, err
	}
	return f.Resolve(nil), nil
}

// maxLine is the length of a line, without its line break, at which BuildKit's
// parser gives up.
const maxLine = 65_535

// longLine is the first line that is too long, 0 if none is.
func longLine(src []byte) int {
	line := 0
	for text := range bytes.Lines(src) {
		line++
		if len(bytes.TrimRight(text, "\r\n")) > maxLine {
			return line
		}
	}
	return 0
}

// otherFrontend is what the syntax directive names, "" if nothing does or it is
// Docker's own.
func otherFrontend(src []byte) string {
	ref, _, _, ok := parser.DetectSyntax(src)
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(ref, "docker.io/"), "@")
	name, _, _ = strings.Cut(name, ":")
	if name == "docker/dockerfile" || name == "docker/dockerfile-upstream" {
		return ""
	}
	if ref = oneLine(ref); len(ref) > 100 {
		ref = strings.ToValidUTF8(ref[:100], "") + "…"
	}
	return ref
}

// guard turns a panic of the parser, which is not ours and reads foreign
// bytes, into an error.
func guard(read func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the parser gave up: %v", r)
		}
	}()
	return read()
}

// read fills the file from its source.
func (f *File) read() error {
	parsed, err := parser.Parse(bytes.NewReader(f.Src))
	if err != nil {
		return err
	}
	f.escape = parsed.EscapeToken
	for _, node := range parsed.AST.Children {
		read, err := instructions.ParseInstruction(node)
		if err != nil {
			return err
		}
		if err := f.add(node, read); err != nil {
			return parser.WithLocation(err, node.Location())
		}
	}
	if len(f.Stages) == 0 {
		return errors.New("no FROM: nothing is built")
	}
	return nil
}

// add appends what was read from one node.
func (f *File) add(node *parser.Node, read any) error {
	switch read := read.(type) {
	case *instructions.Stage:
		f.Stages = append(f.Stages, Stage{
			Name: read.Name, Index: len(f.Stages), Start: node.StartLine, End: node.EndLine, from: *read, fromEnd: node.EndLine,
		})
	case instructions.Command:
		if len(f.Stages) == 0 {
			arg, ok := read.(*instructions.ArgCommand)
			if !ok {
				return fmt.Errorf("%s stands before the first FROM, where only ARG may stand", strings.ToUpper(read.Name()))
			}
			f.global = append(f.global, arg.Args...)
			return nil
		}
		stage := &f.Stages[len(f.Stages)-1]
		stage.End = node.EndLine
		stage.Instructions = append(stage.Instructions, newInstruction(node, read))
	default:
		return fmt.Errorf("%s is not an instruction", node.Value)
	}
	return nil
}

func newInstruction(node *parser.Node, command instructions.Command) Instruction {
	in := Instruction{
		Keyword: strings.ToUpper(command.Name()),
		Start:   node.StartLine, End: node.EndLine,
		Text: oneLine(node.Original),
		From: -1, command: command,
	}
	if run, ok := command.(*instructions.RunCommand); ok {
		// Reads the mounts, and leaves variables as they are written. What cannot
		// be read yet stays without a target.
		_ = run.Expand(func(word string) (string, error) { return word, nil })
	}
	switch in.Keyword {
	case "RUN", "COPY", "ADD", "WORKDIR":
		in.MakesLayer = true
	}
	if len(node.Heredocs) > 0 {
		if first, more := firstLine(node.Heredocs[0].Content); first != "" {
			in.Text += " (" + first + more + ")"
		}
	}
	return in
}

// firstLine returns the first line that says something, and an ellipsis if
// more follow.
func firstLine(content string) (line, more string) {
	for text := range strings.Lines(content) {
		text = oneLine(text)
		switch {
		case text == "" || line == "" && strings.HasPrefix(text, "#!"):
		case line == "":
			line = text
		default:
			return line, " …"
		}
	}
	return line, ""
}

// oneLine collapses all white space.
func oneLine(text string) string {
	return strings.Join(strings.Fields(strings.ToValidUTF8(text, "\uFFFD")), " ")
}

// place writes an error with the name of the file and the line that it is
// about.
func place(name string, err error) error {
	line := 0
	var located *parser.LocationError
	if errors.As(err, &located) {
		if len(located.Locations) > 0 && len(located.Locations[0]) > 0 {
			line = located.Locations[0][0].Start.Line
		}
		err = located.Unwrap()
	}
	message := oneLine(err.Error())
	if len(message) > maxMessage {
		cut := maxMessage
		for !utf8.RuneStart(message[cut]) {
			cut--
		}
		message = message[:cut] + "…"
	}
	return fmt.Errorf("%s:%d: %s", name, max(line, 1), message)
}

// deepNesting returns the line in which variables are nested too deep, 0 if
// none is. Lines are joined where one may continue the other, which counts
// rather more than less.
func deepNesting(src []byte) int {
	depth, line := 0, 0
	for text := range bytes.Lines(src) {
		line++
		for i, c := range text {
			switch {
			case c == '{' && i > 0 && text[i-1] == '$':
				if depth++; depth > maxNesting {
					return line
				}
			case c == '}' && depth > 0:
				depth--
			}
		}
		text = bytes.TrimSpace(text)
		if n := len(text); n > 0 && text[0] != '#' && text[n-1] != '\\' && text[n-1] != '`' {
			depth = 0
		}
	}
	return 0
}
