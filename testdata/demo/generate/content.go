package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// alpine is a root filesystem with the few files everyone knows.
func alpine() tree {
	t := tree{}
	t.dir("dev", "etc/apk", "home", "media", "mnt", "opt", "proc", "root", "run", "srv", "sys", "tmp", "usr/bin", "usr/share", "var/cache", "var/log")
	t.executable("bin/busybox", seeded("busybox").binary("\x7fELF", 92_000))
	t.link("/bin/busybox", "bin/sh", "bin/ls", "bin/cat", "bin/cp", "bin/rm", "bin/tar", "bin/ps", "usr/bin/env", "usr/bin/find", "usr/bin/wget")
	t.executable("lib/ld-musl-x86_64.so.1", seeded("musl").binary("\x7fELF", 66_000))
	t.executable("sbin/apk", seeded("apk").binary("\x7fELF", 38_000))
	t.file("usr/lib/libcrypto.so.3", seeded("libcrypto").binary("\x7fELF", 60_000))
	t.file("usr/lib/libz.so.1.3.1", seeded("libz").binary("\x7fELF", 14_000))
	t.link("libz.so.1.3.1", "usr/lib/libz.so.1")
	t.file("etc/ssl/certs/ca-certificates.crt", certificates(12))
	t.text("etc/alpine-release", "3.22.2\n")
	t.text("etc/os-release", "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.22.2\nPRETTY_NAME=\"Alpine Linux v3.22\"\n")
	t.text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n")
	t.text("etc/group", "root:x:0:root\nnobody:x:65534:\n")
	t.text("etc/apk/world", "alpine-baselayout\nalpine-release\napk-tools\nbusybox\nlibc-utils\n")
	t.text("lib/apk/db/installed", installed())
	return t
}

// installed is the database of apk for the files above.
func installed() string {
	var b strings.Builder
	for _, p := range []struct{ name, version, files string }{
		{"alpine-release", "3.22.2-r0", "F:etc\nR:alpine-release\nR:os-release"},
		{"apk-tools", "2.14.9-r2", "F:sbin\nR:apk"},
		{"busybox", "1.37.0-r18", "F:bin\nR:busybox"},
		{"ca-certificates-bundle", "20250911-r0", "F:etc/ssl/certs\nR:ca-certificates.crt"},
		{"libcrypto3", "3.5.4-r0", "F:usr/lib\nR:libcrypto.so.3"},
		{"musl", "1.2.5-r10", "F:lib\nR:ld-musl-x86_64.so.1"},
		{"zlib", "1.3.1-r2", "F:usr/lib\nR:libz.so.1\nR:libz.so.1.3.1"},
	} {
		r := seeded("apk " + p.name)
		fmt.Fprintf(&b, "C:Q1%s=\nP:%s\nV:%s\nA:x86_64\nT:%s of Alpine Linux\no:%s\nm:Demo <demo@example.org>\nc:%s\n%s\n\n",
			r.integrity()[7:34], p.name, p.version, p.name, p.name, r.hex(20), p.files)
	}
	return b.String()
}

func certificates(n int) []byte {
	var b strings.Builder
	for i := range n {
		text := strings.TrimPrefix(seeded(fmt.Sprint("certificate ", i)).integrity(), "sha512-")
		b.WriteString("-----BEGIN CERTIFICATE-----\n")
		for range 14 {
			b.WriteString(text[:64] + "\n")
			text = text[7:] + text[:7]
		}
		b.WriteString("-----END CERTIFICATE-----\n")
	}
	return []byte(b.String())
}

// nodejs is what the node image adds to Alpine.
func nodejs() tree {
	t := tree{}
	t.executable("usr/local/bin/node", seeded("node").binary("\x7fELF", 170_000))
	t.link("../lib/node_modules/npm/bin/npm-cli.js", "usr/local/bin/npm")
	npm := "usr/local/lib/node_modules/npm/"
	t.text(npm+"package.json", packageJSON("npm", "10.8.2"))
	t.executable(npm+"bin/npm-cli.js", []byte("#!/usr/bin/env node\nrequire('../lib/cli.js')(process)\n"))
	for _, name := range []string{"lib/cli.js", "lib/npm.js", "lib/commands/ci.js", "lib/commands/install.js", "lib/utils/display.js"} {
		t.text(npm+name, seeded("npm "+name).script(name, 3_000))
	}
	t.text("usr/local/include/node/node_version.h", "#define NODE_MAJOR_VERSION 20\n#define NODE_MINOR_VERSION 19\n#define NODE_PATCH_VERSION 5\n")
	t.text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/sbin/nologin\nnode:x:1000:1000::/home/node:/bin/sh\n")
	t.text("etc/group", "root:x:0:root\nnobody:x:65534:\nnode:x:1000:\n")
	return t.dir("home/node")
}

func entrypoint() tree {
	return tree{}.executable("usr/local/bin/docker-entrypoint.sh", []byte("#!/bin/sh\nset -e\n\nif [ \"${1#-}\" != \"${1}\" ]; then\n  set -- node \"$@\"\nfi\n\nexec \"$@\"\n"))
}

func packageFiles() tree {
	t := tree{}
	t.text("app/package.json", `{
  "name": "shop",
  "version": "3.14.0",
  "private": true,
  "scripts": { "start": "node server.js" },
  "dependencies": { "express": "^4.21.2" }
}
`)
	return t.text("app/package-lock.json", lockfile("shop"))
}

// nodeModules is what `npm ci --omit=dev` installs.
func nodeModules() tree {
	t := tree{}
	t.text("app/node_modules/.package-lock.json", lockfile("shop"))
	for _, p := range packages {
		dir := "app/node_modules/" + p.name + "/"
		r := seeded("module " + p.name)
		t.text(dir+"package.json", packageJSON(p.name, p.version))
		t.text(dir+"LICENSE", license)
		t.text(dir+"README.md", "# "+p.name+"\n\n"+r.script(p.name, p.size/12))
		t.text(dir+"index.js", r.script(p.name, p.size/4))
		for i := 0; i < p.size/4000; i++ {
			name := fmt.Sprintf("lib/%s.js", r.pick(words))
			t.text(dir+name, r.script(p.name+" "+name, 3_000))
		}
	}
	return t
}

// application is what `COPY . .` should bring: the sources of the service.
func application() tree {
	t := tree{}
	t.text("app/server.js", seeded("server").script("server", 2_400))
	for _, name := range []string{"routes/cart.js", "routes/orders.js", "routes/products.js", "lib/database.js", "lib/session.js", "lib/mail.js"} {
		t.text("app/"+name, seeded(name).script(name, 2_200))
	}
	t.text("app/public/index.html", "<!doctype html>\n<title>Shop</title>\n<link rel=stylesheet href=/shop.css>\n<main id=shop></main>\n<script src=/shop.js></script>\n")
	t.text("app/public/shop.js", seeded("shop").script("shop", 5_000))
	return t.text("app/README.md", "# Shop\n\nRun `npm start` and open port 3000.\n")
}

// npmCache is what npm leaves behind unless its cache is a mount.
func npmCache() tree {
	t := tree{}
	const cache = "root/.npm/_cacache/"
	for _, p := range packages {
		r := seeded("cache " + p.name)
		body, key := r.hex(64), r.hex(32)
		t.file(cache+"content-v2/sha512/"+body[:2]+"/"+body[2:4]+"/"+body[4:], append([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0}, r.bytes(p.size*2/5)...))
		entry := encode(map[string]any{
			"key":       "make-fetch-happen:request-cache:https://packages.example/" + p.name + "/-/" + p.name + "-" + p.version + ".tgz",
			"integrity": r.integrity(),
			"time":      built.UnixMilli() + int64(r.below(9_000)),
			"size":      p.size * 2 / 5,
			"metadata": map[string]any{
				"url":        "https://packages.example/" + p.name + "/-/" + p.name + "-" + p.version + ".tgz",
				"resHeaders": map[string]string{"cache-control": "public, immutable, max-age=31557600", "content-type": "application/octet-stream", "etag": r.hex(16)},
			},
		})
		t.text(cache+"index-v5/"+key[:2]+"/"+key[2:4]+"/"+key[4:], "\n"+r.hex(20)+"\t"+string(entry))
		// The document that lists every version of the package.
		list := r.hex(64)
		t.file(cache+"content-v2/sha512/"+list[:2]+"/"+list[2:4]+"/"+list[4:], versions(p))
	}
	t.text("root/.npm/_logs/2026-09-14T08_29_41_221Z-debug-0.log", "0 info using npm@10.8.2\n1 info using node@v20.19.5\n")
	return t.text("root/.npm/_update-notifier-last-checked", "")
}

func versions(p npmPackage) []byte {
	r := seeded("versions " + p.name)
	all := map[string]any{}
	for i := range 4 + p.size/240 {
		all[fmt.Sprintf("1.%d.%d", i/4, i%4)] = map[string]any{
			"name": p.name, "license": "MIT", "main": "index.js",
			"dist":    map[string]any{"shasum": r.hex(20), "fileCount": 3 + r.below(9), "unpackedSize": r.below(90_000)},
			"engines": map[string]string{"node": ">= 0.8"},
		}
	}
	return encode(map[string]any{"name": p.name, "dist-tags": map[string]string{"latest": p.version}, "versions": all})
}

// gitDirectory is what `COPY . .` drags along without a .dockerignore file.
func gitDirectory() tree {
	t := tree{}
	r := seeded("git")
	const git = "app/.git/"
	head, before := r.hex(20), r.hex(20)
	t.text(git+"HEAD", "ref: refs/heads/smaller-sessions\n")
	t.text(git+"config", "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n[remote \"origin\"]\n\turl = https://git.example/shop.git\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n")
	t.text(git+"packed-refs", "# pack-refs with: peeled fully-peeled sorted\n"+before+" refs/remotes/origin/main\n")
	t.text(git+"refs/heads/smaller-sessions", head+"\n")
	t.text(git+"logs/HEAD", before+" "+head+" Dev <dev@example.org> 1789374600 +0000\tcommit: Keep sessions small\n")
	t.file(git+"index", r.binary("DIRC\x00\x00\x00\x02", 5_200))
	pack := r.hex(20)
	count := make([]byte, 4)
	binary.BigEndian.PutUint32(count, 412)
	t.file(git+"objects/pack/pack-"+pack+".pack", slices.Concat([]byte("PACK\x00\x00\x00\x02"), count, r.bytes(34_000)))
	t.file(git+"objects/pack/pack-"+pack+".idx", slices.Concat([]byte("\xfftOc\x00\x00\x00\x02"), r.bytes(4_400)))
	for range 9 {
		object := r.hex(20)
		t.file(git+"objects/"+object[:2]+"/"+object[2:], append([]byte{0x78, 1}, r.bytes(180+r.below(900))...))
	}
	return t
}

func packageJSON(name, version string) string {
	r := seeded("package.json " + name)
	return fmt.Sprintf("{\n  \"name\": %q,\n  \"version\": %q,\n  \"description\": \"%s the %s of a %s\",\n  \"license\": \"MIT\",\n  \"main\": \"index.js\",\n  \"repository\": \"git.example/%s\",\n  \"files\": [\"LICENSE\", \"README.md\", \"index.js\", \"lib/\"]\n}\n",
		name, version, capital(r.pick(verbs)), r.pick(words), r.pick(words), name)
}

func lockfile(name string) string {
	type locked struct {
		Version   string `json:"version"`
		Resolved  string `json:"resolved"`
		Integrity string `json:"integrity"`
		License   string `json:"license"`
	}
	all := map[string]locked{}
	for _, p := range packages {
		all["node_modules/"+p.name] = locked{p.version, "https://packages.example/" + p.name + "/-/" + p.name + "-" + p.version + ".tgz", seeded("integrity " + p.name).integrity(), "MIT"}
	}
	b, err := json.MarshalIndent(map[string]any{"name": name, "lockfileVersion": 3, "requires": true, "packages": all}, "", "  ")
	must(err)
	return string(b) + "\n"
}

const license = `(The MIT License)

Permission is hereby granted, free of charge, to any person obtaining a copy of this software, to deal in it without
restriction, subject to the condition that this notice is included in all copies.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND.
`

// npmPackage is one of those that express 4 brings. Its size is about a tenth
// of the real one.
type npmPackage struct {
	name, version string
	size          int
}

var packages = []npmPackage{
	{"accepts", "1.3.8", 1700}, {"array-flatten", "1.1.1", 900}, {"body-parser", "1.20.3", 6100}, {"bytes", "3.1.2", 1200},
	{"call-bind-apply-helpers", "1.0.2", 1500}, {"call-bound", "1.0.4", 1300}, {"content-disposition", "0.5.4", 1900},
	{"content-type", "1.0.5", 1100}, {"cookie", "0.7.1", 2400}, {"cookie-signature", "1.0.6", 900}, {"debug", "2.6.9", 6400},
	{"depd", "2.0.0", 2700}, {"destroy", "1.2.0", 900}, {"dunder-proto", "1.0.1", 1400}, {"ee-first", "1.1.1", 900},
	{"encodeurl", "2.0.0", 1000}, {"es-define-property", "1.0.1", 1100}, {"es-errors", "1.3.0", 1200},
	{"es-object-atoms", "1.1.1", 1200}, {"escape-html", "1.0.3", 900}, {"etag", "1.8.1", 1100}, {"express", "4.21.2", 22000},
	{"finalhandler", "1.3.1", 1800}, {"forwarded", "0.2.0", 900}, {"fresh", "0.5.2", 1000}, {"function-bind", "1.1.2", 2900},
	{"get-intrinsic", "1.3.0", 4100}, {"get-proto", "1.0.1", 1100}, {"gopd", "1.2.0", 1000}, {"has-symbols", "1.1.0", 2300},
	{"hasown", "2.0.2", 1000}, {"http-errors", "2.0.0", 1900}, {"iconv-lite", "0.4.24", 33000}, {"inherits", "2.0.4", 900},
	{"ipaddr.js", "1.9.1", 4600}, {"math-intrinsics", "1.1.0", 1600}, {"media-typer", "0.3.0", 1100},
	{"merge-descriptors", "1.0.3", 900}, {"methods", "1.1.2", 900}, {"mime", "1.6.0", 5200}, {"mime-db", "1.52.0", 20500},
	{"mime-types", "2.1.35", 1800}, {"ms", "2.0.0", 900}, {"negotiator", "0.6.3", 2700}, {"object-inspect", "1.13.4", 10400},
	{"on-finished", "2.4.1", 1300}, {"parseurl", "1.3.3", 1000}, {"path-to-regexp", "0.1.12", 1200}, {"proxy-addr", "2.0.7", 1500},
	{"qs", "6.13.0", 24000}, {"range-parser", "1.2.1", 900}, {"raw-body", "2.5.2", 2500}, {"safe-buffer", "5.2.1", 3100},
	{"safer-buffer", "2.1.2", 4200}, {"send", "0.19.0", 5000}, {"serve-static", "1.16.2", 2500}, {"setprototypeof", "1.2.0", 900},
	{"side-channel", "1.1.0", 2500}, {"side-channel-list", "1.0.0", 1900}, {"side-channel-map", "1.0.1", 1700},
	{"side-channel-weakmap", "1.0.2", 1800}, {"statuses", "2.0.1", 1200}, {"toidentifier", "1.0.1", 900}, {"type-is", "1.6.18", 1800},
	{"unpipe", "1.0.0", 900}, {"utils-merge", "1.0.1", 900}, {"vary", "1.1.2", 900},
}
