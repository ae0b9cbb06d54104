#!/bin/sh
mkdir -p /srv
echo "made when it started" > /srv/index.html
exec "$@"
