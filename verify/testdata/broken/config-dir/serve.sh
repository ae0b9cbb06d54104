#!/bin/sh
. ./config/settings
echo "serving $TITLE on $PORT"
exec httpd -f -p "$PORT" -h public
