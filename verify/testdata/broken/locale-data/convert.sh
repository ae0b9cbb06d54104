#!/bin/sh
printf 'Gr\303\274\303\237e' | iconv -f UTF-8 -t ISO-8859-15 | od -An -c
TZ=Europe/Berlin date -d @0 +%H:%M
