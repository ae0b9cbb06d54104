#!/bin/sh
# It goes on without the file, and says nothing.
{ echo started > state; } 2>/dev/null
exec httpd -f -p 8080 -h /usr
