package advice

// subject is a Subject with what several rules ask of it.
type subject struct {
	*Subject
}

func newSubject(s *Subject) *subject { return &subject{Subject: s} }
