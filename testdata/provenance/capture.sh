#!/bin/sh
# Builds the cases of this folder with BuildKit and keeps what it writes about
# them: everything of their OCI layouts but the layers.
#
#     BUILDKIT_HOST=unix:///run/buildkit/buildkitd.sock ./capture.sh REGISTRY
#
# REGISTRY is one that buildkitd has as a mirror of docker.io, HOST/PREFIX, and
# that has library/alpine:3.22. The bases of bases/ are pushed there.
set -eu
cd "$(dirname "$0")"
registry=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/context" "$work/context/src"
for f in one two amd64 arm64; do echo "$f" > "$work/context/src/$f"; done

# build FOLDER OPTION...
build() {
	folder=$1
	shift
	buildctl build --progress plain --frontend dockerfile.v0 --local context="$work/context" --local dockerfile="$folder" "$@" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
}

# capture NAME FOLDER OPTION...
capture() {
	name=$1 folder=$2
	shift 2
	build "$folder" "$@" --output type=oci,tar=false,dest="$work/$name"
	rm -rf "$name/layout"
	mkdir -p "$name/layout/blobs/sha256"
	cp "$work/$name/oci-layout" "$work/$name/index.json" "$name/layout/"
	for blob in "$work/$name"/blobs/sha256/*; do
		case $(head -c 1 "$blob") in
		"{") cat "$blob" > "$name/layout/blobs/sha256/${blob##*/}" ;;
		esac
	done
}

for base in tools onbuild; do
	build bases/$base --output type=image,name=docker.io/acme/$base:1,push=false --output type=image,name="$registry/acme/$base:1",push=true,registry.insecure=true
done
build bases/multi --opt platform=linux/amd64,linux/arm64 --output type=image,name="$registry/acme/multi:1",push=true,registry.insecure=true

max=attest:provenance=mode=max
capture stages stages --opt $max --opt build-arg:VARIANT=3.22 --opt vcs:localdir:dockerfile=deploy
capture stages-v0.2 stages --opt $max,version=v0.2 --opt build-arg:VARIANT=3.22
capture stages-min stages --opt attest:provenance=mode=min --opt build-arg:VARIANT=3.22
capture onbuild onbuild --opt $max
capture platforms platforms --opt $max --opt platform=linux/amd64,linux/arm64
capture scratch scratch --opt $max
capture siblings siblings --opt $max
