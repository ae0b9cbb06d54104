package advice

import (
	"slices"
	"testing"
)

func TestPlainCommand(t *testing.T) {
	t.Parallel()
	cases := []struct {
		form, want []string
	}{
		{[]string{"/bin/sh", "-c", "./app"}, []string{"./app"}},
		{[]string{"/bin/sh", "-c", "exec ./app --name 'two words'"}, []string{"./app", "--name", "two words"}},
		{[]string{"/bin/bash", "-o", "pipefail", "-c", "app"}, []string{"app"}},
		{[]string{"./app"}, nil},
		{[]string{"/bin/sh", "-c", "./app $PORT"}, nil},
		{[]string{"/bin/sh", "-c", "PORT=1 ./app"}, nil},
		{[]string{"/bin/sh", "-c", "./app > log"}, nil},
		{[]string{"/bin/sh", "-c", "./app & ./other"}, nil},
		{[]string{"/bin/sh", "-c", "cd /x; ./app"}, nil},
		{[]string{"/bin/sh", "-c", "ls *.txt"}, nil},
		{[]string{"/bin/sh", "-c", "'"}, nil},
		{[]string{"/bin/sh", "-c", ""}, nil},
		{[]string{"powershell", "-c", "app"}, nil},
	}
	for _, c := range cases {
		if got := plainCommand(c.form); !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.form, got, c.want)
		}
	}
}

func TestImagesWithTheRuntimeOfJava(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string]string{
		"eclipse-temurin:17":                        "eclipse-temurin:17-jre",
		"eclipse-temurin:17-jdk-alpine":             "eclipse-temurin:17-jre-alpine",
		"eclipse-temurin:17.0.9_9-jdk-jammy":        "eclipse-temurin:17.0.9_9-jre-jammy",
		"eclipse-temurin:17-jre":                    "",
		"eclipse-temurin":                           "",
		"maven:3.9-eclipse-temurin-21-alpine":       "eclipse-temurin:21-jre-alpine",
		"maven:3-amazoncorretto-17":                 "",
		"maven:3":                                   "",
		"gradle:8.5-jdk17-jammy":                    "eclipse-temurin:17-jre-jammy",
		"gradle:jdk21":                              "eclipse-temurin:21-jre",
		"docker.io/library/openjdk:11-jdk-slim":     "eclipse-temurin:11-jre",
		"openjdk:8-alpine":                          "eclipse-temurin:8-jre-alpine",
		"openjdk:8-jre":                             "",
		"openjdk:latest":                            "",
		"registry.example.com/eclipse-temurin:17":   "",
		"eclipse-temurin:17-jdk@sha256:00000000000": "eclipse-temurin:17-jre",
	} {
		if got := jreOf(ref); got != want {
			t.Errorf("%s: got %q, want %q", ref, got, want)
		}
	}
}

func TestImagesWithTheRuntimeOfDotnet(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string]string{
		"mcr.microsoft.com/dotnet/sdk:8.0":                       "mcr.microsoft.com/dotnet/aspnet:8.0",
		"mcr.microsoft.com/dotnet/sdk:8.0.404-bookworm-slim":     "mcr.microsoft.com/dotnet/aspnet:8.0-bookworm-slim",
		"mcr.microsoft.com/dotnet/sdk:8.0-alpine@sha256:0000000": "mcr.microsoft.com/dotnet/aspnet:8.0-alpine",
		"mcr.microsoft.com/dotnet/sdk:9.0":                       "", // rolls forward, perhaps
		"mcr.microsoft.com/dotnet/sdk:latest":                    "",
		"mcr.microsoft.com/dotnet/aspnet:8.0":                    "",
		"sdk:8.0":                                                "",
	} {
		if got := aspnetOf(ref, "aspnet", "8.0"); got != want {
			t.Errorf("%s: got %q, want %q", ref, got, want)
		}
	}
	for text, want := range map[string]string{
		`{"runtimeOptions":{"framework":{"name":"Microsoft.NETCore.App","version":"8.0.0"}}}`:                                                                    "runtime 8.0",
		`{"runtimeOptions":{"frameworks":[{"name":"Microsoft.NETCore.App","version":"8.0.0"},{"name":"Microsoft.AspNetCore.App","version":"8.0.0-preview.1"}]}}`: "aspnet 8.0",
		`{"runtimeOptions":{"includedFrameworks":[{"name":"Microsoft.NETCore.App","version":"8.0.0"}]}}`:                                                         " ",
		`{"runtimeOptions":{"framework":{"name":"Microsoft.WindowsDesktop.App","version":"8.0.0"}}}`:                                                             " ",
		`{`: " ",
		``:  " ",
	} {
		if kind, version := dotnetRuntime([]byte(text)); kind+" "+version != want {
			t.Errorf("%s: got %q, want %q", text, kind+" "+version, want)
		}
	}
}

func TestJarOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		argv []string
		want string
	}{
		{[]string{"java", "-Xmx1g", "-jar", "app.jar", "--port", "1"}, "app.jar"},
		{[]string{"java", "-cp", "x", "-jar", "app.jar"}, ""},
		{[]string{"java", "Main"}, ""},
		{[]string{"java", "-jar"}, ""},
		{nil, ""},
	} {
		if got, ok := jarOf(c.argv); got != c.want || ok != (c.want != "") {
			t.Errorf("%q: got %q", c.argv, got)
		}
	}
}

func TestQuotedWordsMeanThemselves(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{"/a/b.c": "/a/b.c", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$x": "'$x'"} {
		if got := quote(word); got != want {
			t.Errorf("%q: got %s, want %s", word, got, want)
		}
	}
}
