#!/bin/sh
echo "started with $#"
sed -i s/NAME/world/ /www/index.html
exec "$@"
