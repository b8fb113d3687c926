#!/bin/sh
# Runs a command with each file of /run/secrets as the environment variable of its name; an empty file is none. So a
# secret is in no image, no command line and not in what Docker tells about a container.
for file in /run/secrets/*; do
  [ -s "$file" ] && export "$(basename "$file")=$(cat "$file")"
done
exec "$@"
