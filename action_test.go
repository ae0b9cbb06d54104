package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

// described is an input or output of the action.
type described struct{ name, text, value string }

type actionFile struct {
	inputs, outputs []described
	runs            map[string]any
}

func readAction(t *testing.T) actionFile {
	t.Helper()
	text, err := os.ReadFile("action.yml")
	if err != nil {
		t.Fatal(err)
	}
	var raw struct {
		Inputs  yaml.MapSlice  `yaml:"inputs"`
		Outputs yaml.MapSlice  `yaml:"outputs"`
		Runs    map[string]any `yaml:"runs"`
	}
	if err := yaml.Unmarshal(text, &raw); err != nil {
		t.Fatal(err)
	}
	list := func(of yaml.MapSlice) []described {
		var out []described
		for _, item := range of {
			d := described{name: fmt.Sprint(item.Key)}
			fields, _ := item.Value.(map[string]any)
			d.text, _ = fields["description"].(string)
			d.value, _ = fields["default"].(string)
			for key := range fields {
				if key != "description" && key != "default" {
					t.Errorf("action.yml: %s has %s, which this test does not know", d.name, key)
				}
			}
			out = append(out, d)
		}
		return out
	}
	return actionFile{list(raw.Inputs), list(raw.Outputs), raw.Runs}
}

func TestTheActionIsAContainerThatNamesItsEntrypoint(t *testing.T) {
	t.Parallel()
	want := map[string]any{"using": "docker", "image": "Dockerfile", "entrypoint": "/image-budget", "args": []any{"check"}}
	if diff := cmp.Diff(want, readAction(t).runs); diff != "" {
		t.Errorf("action.yml: runs (-want +got):\n%s", diff)
	}
	dockerfile, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(dockerfile), `ENTRYPOINT ["/image-budget"]`) {
		t.Error("the Dockerfile has another entrypoint than action.yml")
	}
}

func TestInputsAndOutputsAreDescribedInASentence(t *testing.T) {
	t.Parallel()
	kebab := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	action := readAction(t)
	for _, d := range append(action.inputs, action.outputs...) {
		if !kebab.MatchString(d.name) {
			t.Errorf("%s is not in kebab case", d.name)
		}
		if len(strings.Fields(d.text)) < 3 || !strings.HasSuffix(d.text, ".") {
			t.Errorf("%s: %q is not a sentence", d.name, d.text)
		}
	}
}

func TestTheInputsAreTheFlagsOfCheck(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("image-budget", "check", "--help")
	cmd.Env = atATerminal()
	help, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	flags := map[string]string{}
	entry := regexp.MustCompile(`(?m)^  --([a-z-]+)(?: .*)?\n((?:      .*\n)+)`)
	value := regexp.MustCompile(`\(default ([^ ()]+)\)$`)
	for _, m := range entry.FindAllStringSubmatch(string(help), -1) {
		flags[m[1]] = ""
		if d := value.FindStringSubmatch(strings.Join(strings.Fields(m[2]), " ")); d != nil {
			flags[m[1]] = d[1]
		}
	}
	inputs := map[string]string{}
	for _, i := range readAction(t).inputs {
		switch {
		case i.name == "github-token" && i.value == "${{ github.token }}":
			i.value = "" // nobody has one outside a workflow
		case i.value == "false":
			i.value = "" // help leaves it out
		}
		inputs[i.name] = i.value
	}
	if diff := cmp.Diff(flags, inputs); diff != "" {
		t.Errorf("flags of check and their defaults (-), inputs in action.yml (+):\n%s", diff)
	}
}

func TestARunSetsEveryOutputAndNoOther(t *testing.T) {
	t.Parallel()
	got := runInWorkflow(t, map[string]string{
		"CONFIG": demoDir + "/image-budget.yml",
		"OUTPUT": "json=report.json\nmarkdown=report.md",
	})
	declared := map[string]bool{}
	for _, o := range readAction(t).outputs {
		declared[o.name] = true
		if got[o.name] == "" {
			t.Errorf("action.yml declares the output %s; a run does not set it", o.name)
		}
	}
	for name, value := range got {
		if !declared[name] {
			t.Errorf("a run sets the output %s to %q; action.yml does not declare it", name, value)
		}
		if strings.HasPrefix(value, "/") {
			t.Errorf("the output %s is %q; an absolute path means nothing outside the container", name, value)
		}
	}
	for name, want := range map[string]string{"status": "fail", "over-budget": "true", "images": "1", "report-json": "report.json", "comment-id": "41"} {
		if got[name] != want {
			t.Errorf("output %s is %q, want %q", name, got[name], want)
		}
	}
	main, err1 := strconv.Atoi(got["baseline-compressed"])
	pr, err2 := strconv.Atoi(got["compressed"])
	delta, err3 := strconv.Atoi(got["delta-compressed"])
	if err1 != nil || err2 != nil || err3 != nil || main+delta != pr {
		t.Errorf("baseline %q plus delta %q is not %q", got["baseline-compressed"], got["delta-compressed"], got["compressed"])
	}
}

// runInWorkflow runs check as the runner does in a pull request's job, and
// returns its outputs. Inputs are by the name of their variable.
func runInWorkflow(t *testing.T, inputs map[string]string) map[string]string {
	t.Helper()
	workspace := t.TempDir()
	if err := os.CopyFS(filepath.Join(workspace, demoDir), os.DirFS(demoDir)); err != nil {
		t.Fatal(err)
	}
	sha := strings.Repeat("9f", 20)
	event := fmt.Sprintf(`{"number":7,"repository":{"id":1,"full_name":"acme/web"},"pull_request":{"number":7,"head":{"sha":%q,"repo":{"id":1,"full_name":"acme/web"}},"base":{"sha":%q,"repo":{"id":1,"full_name":"acme/web"}}}}`,
		sha, strings.Repeat("1a", 20))
	files := t.TempDir()
	for file, text := range map[string]string{"event.json": event, "output": "", "summary": ""} {
		if err := os.WriteFile(filepath.Join(files, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("image-budget", "check")
	cmd.Dir = workspace
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + files,
		"GITHUB_ACTIONS=true", "GITHUB_EVENT_NAME=pull_request", "GITHUB_REPOSITORY=acme/web", "GITHUB_SHA=" + sha,
		"GITHUB_RUN_ID=5", "GITHUB_RUN_ATTEMPT=1", "GITHUB_SERVER_URL=https://github.test", "GITHUB_API_URL=" + pullRequestAPI(t),
		"GITHUB_WORKSPACE=" + workspace, "GITHUB_EVENT_PATH=" + filepath.Join(files, "event.json"),
		"GITHUB_OUTPUT=" + filepath.Join(files, "output"), "GITHUB_STEP_SUMMARY=" + filepath.Join(files, "summary"),
		"INPUT_GITHUB-TOKEN=ghs_secret",
	}
	for _, i := range readAction(t).inputs {
		if name := strings.ToUpper(i.name); name != "GITHUB-TOKEN" {
			cmd.Env = append(cmd.Env, "INPUT_"+name+"="+i.value)
		}
	}
	for name, value := range inputs {
		cmd.Env = append(cmd.Env, "INPUT_"+name+"="+value)
	}
	log, err := cmd.CombinedOutput()
	if code := exitCode(t, err); code != 1 {
		t.Fatalf("exit code %d, want 1\n%s", code, log)
	}
	if summary, err := os.ReadFile(filepath.Join(files, "summary")); err != nil || !strings.Contains(string(summary), "over its budget") {
		t.Errorf("the job summary lacks the verdict: %v\n%s", err, summary)
	}
	text, err := os.ReadFile(filepath.Join(files, "output"))
	if err != nil {
		t.Fatal(err)
	}
	return parseOutputs(t, string(text))
}

// parseOutputs reads NAME<<DELIMITER, a value, DELIMITER, as the runner does.
func parseOutputs(t *testing.T, text string) map[string]string {
	t.Helper()
	outputs := map[string]string{}
	for text != "" {
		head, rest, _ := strings.Cut(text, "\n")
		name, delimiter, ok := strings.Cut(head, "<<")
		value, after, closed := strings.Cut(rest, "\n"+delimiter+"\n")
		if !ok || !closed {
			t.Fatalf("malformed outputs:\n%s", text)
		}
		outputs[name], text = value, after
	}
	return outputs
}

// pullRequestAPI is GitHub with one pull request that has no comments yet. It
// returns its address.
func pullRequestAPI(t *testing.T) string {
	t.Helper()
	reply := func(w http.ResponseWriter, status int, body any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /user", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusForbidden, map[string]string{"message": "Resource not accessible by integration"})
	})
	mux.HandleFunc("GET /repos/acme/web/issues/7/comments", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, []any{})
	})
	mux.HandleFunc("POST /repos/acme/web/issues/7/comments", func(w http.ResponseWriter, r *http.Request) {
		var comment map[string]any
		if err := json.NewDecoder(r.Body).Decode(&comment); err != nil {
			t.Error(err)
		}
		comment["id"], comment["html_url"] = 41, "https://github.test/acme/web/pull/7#issuecomment-41"
		comment["user"] = map[string]any{"login": "github-actions[bot]", "type": "Bot"}
		reply(w, http.StatusCreated, comment)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}
