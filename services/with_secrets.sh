#!/bin/sh
# Runs a command with each file of /run/secrets as the environment variable of its name; an empty file is none. So a
# secret is in no image, command line or Docker description. It is read as services/compose/secrets.py reads it on
# the host: without a byte order mark, CRs, and space at either end.
for file in "${SECRETS_FOLDER:-/run/secrets}"/*; do
  [ -f "$file" ] || continue
  value=$(sed -e "1s/^$(printf '\357\273\277')//" -e 's/\r$//' "$file")
  value=${value#"${value%%[![:space:]]*}"}
  value=${value%"${value##*[![:space:]]}"}
  [ -z "$value" ] || export "$(basename "$file")=$value"
done
exec "$@"
