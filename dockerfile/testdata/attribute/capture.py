#!/usr/bin/env python3
"""Builds the cases of this folder on a real engine and keeps what its history says.

    ./capture.py BUILDER ENGINE [CASE...]

BUILDER names the files to write and is one of the below; ENGINE is a socket
(unix:///var/run/docker.sock). A case has a Dockerfile, and may have

    build.json        {"target", "args", "forgetArgs"}
    Dockerfile.base   built first, as attribute-onbuild:test
    Dockerfile.built  built instead of the Dockerfile

Histories of builders that are not to be had here say so and were written by
hand.

A case that a builder cannot build has no file of that builder. The images are
removed again.
"""
import json, os, subprocess, sys, tarfile, tempfile, io

# What DOCKER_BUILDKIT is for each of them.
BUILDERS = {"buildkit-0.8": "1", "classic": "0", "engine29": "1"}
DOCKER = os.environ.get("DOCKER", "docker")


def context(folder):
    os.makedirs(folder + "/src")
    for name, text in {"package.json": "{}", "package-lock.json": "{ }", "server.js": "//", "src/1.0.txt": "1", "src/2.0.txt": "2"}.items():
        with open(f"{folder}/{name}", "w") as f:
            f.write(text)
    with tarfile.open(folder + "/app.tar", "w") as t:
        entry = tarfile.TarInfo("inside")
        entry.size = 3
        t.addfile(entry, io.BytesIO(b"abc"))


def docker(engine, *args, buildkit="0", **more):
    env = dict(os.environ, DOCKER_BUILDKIT=buildkit)
    return subprocess.run([DOCKER, "-H", engine, *args], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)


def config(engine, image):
    with tempfile.TemporaryDirectory() as folder:
        docker(engine, "save", "-o", folder + "/i.tar", image, check=True)
        with tarfile.open(folder + "/i.tar") as t:
            manifest = json.load(t.extractfile("manifest.json"))[0]
            return json.load(t.extractfile(manifest["Config"]))


def base_layers(engine, dockerfile, target):
    """Counts the layers of the image that the target stage comes from."""
    stages, last = {}, None
    for line in open(dockerfile, encoding="utf-8-sig"):
        words = line.split()
        if words and words[0] == "FROM":
            last = str(len(stages) // 2)
            stages[last] = stages[words[3].lower() if len(words) > 3 else "#" + last] = words[1]
    at = target or last
    while at in stages:
        at = stages[at]
    if at == "scratch":
        return 0
    at = at.replace("${BASE}", "alpine:3.22").replace("${TAG}", "3.22")
    return len(json.loads(docker(engine, "image", "inspect", at, check=True).stdout)[0]["RootFS"]["Layers"])


def capture(builder, engine, case, ctx):
    options = json.load(open(case + "/build.json")) if os.path.exists(case + "/build.json") else {}
    if os.path.exists(case + "/Dockerfile.base"):
        docker(engine, "build", "--network", "none", "-t", "attribute-onbuild:test", "-f", case + "/Dockerfile.base", ctx, buildkit=BUILDERS[builder], check=True)
    dockerfile = case + ("/Dockerfile.built" if os.path.exists(case + "/Dockerfile.built") else "/Dockerfile")
    args = ["build", "--no-cache", "--network", "none", "-t", "attribute-case:test", "-f", dockerfile]
    if options.get("target"):
        args += ["--target", options["target"]]
    for k, v in options.get("args", {}).items():
        args += ["--build-arg", f"{k}={v}"]
    built = docker(engine, *args, ctx, buildkit=BUILDERS[builder])
    if built.returncode != 0:
        print(f"{case}: {builder} cannot build it: {built.stdout.decode()[-300:]}")
        return
    c = config(engine, "attribute-case:test")
    out = {"builder": builder, "baseLayers": base_layers(engine, dockerfile, options.get("target", ""))}
    for key in ("target", "args"):
        if options.get(key) and not (key == "args" and options.get("forgetArgs")):
            out[key] = options[key]
    out["layers"] = len(c["rootfs"]["diff_ids"])
    out["history"] = [{k: h[k] for k in ("created_by", "empty_layer", "comment") if h.get(k)} for h in c["history"]]
    with open(f"{case}/{builder}.json", "w") as f:
        json.dump(out, f, indent=1, ensure_ascii=False)
        f.write("\n")
    docker(engine, "rmi", "attribute-case:test")
    if os.path.exists(case + "/Dockerfile.base"):
        docker(engine, "rmi", "attribute-onbuild:test")


def main():
    builder, engine = sys.argv[1:3]
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    with tempfile.TemporaryDirectory() as folder:
        context(folder)
        for case in sys.argv[3:] or sorted(os.listdir(".")):
            if os.path.exists(case + "/Dockerfile"):
                capture(builder, engine, case, folder)


main()
