#!/bin/sh
set -e
cd "$(mktemp -d)"
exec "$@"
