// Package actions speaks the protocol of the GitHub Actions runner: inputs and
// context from the environment, outputs and job summary through files, annotations and
// masks through commands on standard output, and a writer that keeps everything else
// from being read as a command.
//
// It uses no network, reads no environment by itself and decides nothing about the
// report. Commands go through github.com/sethvargo/go-githubactions, which escapes
// them rightly; outputs and summary do not, because its file commands use one constant
// delimiter, so a value that contains it sets further outputs (the flaw of
// CVE-2022-35954), and because it panics when a file cannot be written. Its Infof is not
// used either: it escapes nothing.
//
// What always holds: no foreign text leaves here as a runner command; secrets are
// printed only inside an add-mask command and only where a runner reads it.
package actions
