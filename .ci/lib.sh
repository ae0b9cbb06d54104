# shellcheck shell=bash disable=SC2034 # what seems unused here is used by the scripts
# What the bench's scripts share: where things live, and how a daemon is started in the background, waited for, and stopped by the
# process id recorded at its start. Nothing is ever stopped by name: another engine on the machine is not ours.

IB_STATE=/var/lib/ib # data, caches, logs: kept between runs
IB_RUN=/run/ib       # sockets and process ids
IB_BIN=$IB_STATE/bin
IB_LOG=$IB_STATE/log
CI_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO_DIR=$(dirname "$CI_DIR")
ENGINE20=unix://$IB_RUN/engine20.sock
ENGINE29=unix://$IB_RUN/engine29.sock
REGISTRY=127.0.0.1:5055
BUILDKIT=unix://$IB_RUN/buildkitd.sock
BUILDKIT_TLS=tcp://127.0.0.1:5056
BUILDKIT_OLD=unix://$IB_RUN/buildkitd-old.sock
BUILDKIT_VERSION=v0.34.2
export DEBIAN_FRONTEND=noninteractive
mkdir -p "$IB_STATE" "$IB_RUN" "$IB_BIN" "$IB_LOG"

# The clients speak BuildKit themselves (Debian's 20.10 client has it built in; newer ones need a plugin).
d20() { DOCKER_BUILDKIT=1 /usr/bin/docker --host "$ENGINE20" "$@"; }
d29() { /usr/bin/docker --host "$ENGINE29" "$@"; }
has() { "$1" image inspect "$2" >/dev/null 2>&1; } # has d20|d29 IMAGE

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
  say "$*"
  exit 1
}

# lock NAME: one script of that name at a time; the lock ends with the script (spawn closes it for the daemons).
lock() {
  exec 9>"$IB_RUN/$1.lock"
  flock 9
}

# need PACKAGE...: install the Debian packages that are missing; the package lists are fetched only when something is.
need() {
  local missing=() package
  for package; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  say "installing ${missing[*]}"
  {
    apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"
  } </dev/null >>"$IB_LOG/apt.log" 2>&1 || die "apt-get could not install ${missing[*]}: see $IB_LOG/apt.log"
}

# buildkit DIR COMMAND...: compile commands of BuildKit's module into DIR. It excludes versions of other modules, which `go install` of it
# refuses: an empty module that requires it may have it.
buildkit() {
  local dir=$1 module
  shift
  [[ -f $dir/complete ]] && return 0
  say "compiling ${*##*/} $BUILDKIT_VERSION"
  module=$(mktemp -d)
  (
    cd "$module"
    set -- "${@/#/github.com/moby/buildkit/}"
    GOWORK=off go mod init bench
    GOWORK=off go get "${@/%/@$BUILDKIT_VERSION}"
    mkdir -p "$dir"
    GOWORK=off CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X github.com/moby/buildkit/version.Version=$BUILDKIT_VERSION" -o "$dir/" "$@"
  ) >"$IB_LOG/${dir##*/}.log" 2>&1 || die "could not compile it: see $IB_LOG/${dir##*/}.log"
  rm -rf "$module"
  touch "$dir/complete"
}

# A recorded daemon is "PID START": the start time tells a recycled id from the process that was started. One that has ended but is not
# reaped yet has none.
started_at() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" { print $20 }'; }

# running NAME: succeeds while the recorded daemon NAME is alive.
running() {
  local pid start
  [[ -f $IB_RUN/$1.pid ]] && read -r pid start <"$IB_RUN/$1.pid" && [[ -n $start && $(started_at "$pid") == "$start" ]]
}

# spawn NAME COMMAND...: start COMMAND in the background, outliving this shell, logging to a file, its id recorded.
spawn() {
  local name=$1 pid
  shift
  setsid "$@" </dev/null >"$IB_LOG/$name.log" 2>&1 9>&- &
  pid=$!
  echo "$pid $(started_at "$pid")" >"$IB_RUN/$name.pid"
}

# await NAME COMMAND...: wait up to a minute for COMMAND to succeed; a daemon that dies first is an error with the end of its log.
await() {
  local name=$1 try
  shift
  for ((try = 0; try < 300; try++)); do
    "$@" >/dev/null 2>&1 && return 0
    running "$name" || break
    sleep 0.2
  done
  tail -n 20 "$IB_LOG/$name.log" >&2
  die "$name did not start"
}

# halt NAME: ask the recorded daemon to end, wait for it, and insist after a minute.
halt() {
  local name=$1 pid try
  running "$name" || { rm -f "$IB_RUN/$name.pid" && return 0; }
  read -r pid _ <"$IB_RUN/$name.pid"
  kill "$pid" || true
  for ((try = 0; try < 300; try++)); do
    running "$name" || break
    sleep 0.2
  done
  running "$name" && kill -9 "$pid"
  rm -f "$IB_RUN/$name.pid"
}
