package footprint

// Suggestion is advice on an image, weighed in bytes of it.
type Suggestion struct {
	// Rule is the id of the rule that gave it: "package-cache-left".
	Rule string `json:"rule"`
	// File is the Dockerfile it is about, "" without one, and Start and End are
	// the first and the last line; both are 0 where it is about no line. Lines
	// count from 1. Stage is the name or number of their stage.
	File  string `json:"file"`
	Stage string `json:"stage"`
	Start int    `json:"start"`
	End   int    `json:"end"`
	// Bytes is what it weighs in Metric, [Unpacked] or [Compressed]: measured,
	// or 0 where there was no image to measure and Hint is set.
	Bytes  Bytes  `json:"bytes"`
	Metric Metric `json:"metric"`
	// Estimated says that Bytes is what a registry or a change that was not
	// built lets expect, at most.
	Estimated bool `json:"estimated,omitempty"`
	// Within is the rule whose heavier suggestion takes the same bytes away, as far
	// as Paths tell, "" for none: do that, and this one is done.
	Within string `json:"within,omitempty"`
	// Hint says that nothing was measured: it can be said of the text alone.
	Hint bool `json:"hint,omitempty"`
	// Paths are the heaviest of what weighs, heaviest first, at most
	// [MaxSuggestionPaths]; More counts the others.
	Paths []WeighedPath `json:"paths"`
	More  int           `json:"more,omitempty"`
	// Safety says how far the edits can be trusted.
	Safety Safety `json:"safety"`
	// Message is one sentence: what is there and how many bytes of what.
	// Advice is one sentence: what to do. Both may quote foreign names.
	Message string `json:"message"`
	Advice  string `json:"advice"`
	// Edits change the files; none where a person has to decide. They do not
	// overlap and are in order of file and place.
	Edits []Edit `json:"edits"`
	// Diff is the whole change as a unified diff, "" without edits.
	Diff string `json:"diff,omitempty"`
	// Unknown is what would have to be known to say more, in sentences.
	Unknown []string `json:"unknown,omitempty"`
	// Verified says what became of building and running it; nil where it was
	// not asked for.
	Verified *Verification `json:"verified"`
}

// MaxSuggestionPaths is how many paths a suggestion names.
const MaxSuggestionPaths = 5

// WeighedPath is a path in the image with the bytes that count.
type WeighedPath struct {
	Path  string `json:"path"`
	Bytes Bytes  `json:"bytes"`
	// Layer is the index of the layer that holds most of them, -1 if unknown.
	Layer int `json:"layer"`
}

// Safety is how far an edit can be trusted.
type Safety string

// The classes of safety.
const (
	// SafePatch changes nothing that the program in the image can see.
	SafePatch Safety = "A"
	// NeedsTests is usually right, and the project's tests have to say so.
	NeedsTests Safety = "B"
	// AdviceOnly is for a person to weigh; it comes without an edit.
	AdviceOnly Safety = "C"
)

// Edit replaces bytes of a file.
type Edit struct {
	// File is the file's path: that of the Dockerfile as the suggestion has it,
	// or of the .dockerignore beside the context.
	File string `json:"file"`
	// Start and End are the bytes that Text replaces; End is not included. Both
	// are 0 and Create is set where the file is to be made.
	Start  int    `json:"start"`
	End    int    `json:"end"`
	Text   string `json:"text"`
	Create bool   `json:"create,omitempty"`
}

// Verification says what became of a suggestion that was built and run.
type Verification struct {
	// Status is "verified", "failed" or "not-run".
	Status string `json:"status"`
	// Before and After are the sizes of both images in Metric, 0 where it was
	// not built.
	Before Bytes  `json:"before"`
	After  Bytes  `json:"after"`
	Metric Metric `json:"metric"`
	// Same is what was the same in words for a headline: "same answers on :3000/".
	Same string `json:"same,omitempty"`
	// Evidence is what was compared, in order; it is empty if nothing ran.
	Evidence []Evidence `json:"evidence"`
	// Reason says in a sentence why it is not verified.
	Reason string `json:"reason,omitempty"`
	// Tried are the changes that were built before this one and why they were
	// not taken.
	Tried []Attempt `json:"tried,omitempty"`
}

// The words of Verification.Status.
const (
	Verified     = "verified"
	VerifyFailed = "failed"
	VerifyNotRun = "not-run"
)

// Evidence is one thing that was seen of both images.
type Evidence struct {
	// What was compared: "exit status", "GET :3000/", "listening ports".
	What string `json:"what"`
	// Original and Candidate are what was seen, each in one line.
	Original  string `json:"original"`
	Candidate string `json:"candidate"`
	Same      bool   `json:"same"`
}

// Attempt is a change that was not taken.
type Attempt struct {
	// Name says what it was: "on scratch".
	Name string `json:"name"`
	// After is its size if it was built, 0 else.
	After Bytes `json:"after,omitempty"`
	// Reason says in a sentence why it was not taken.
	Reason string `json:"reason"`
}
