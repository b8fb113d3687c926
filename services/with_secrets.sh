#!/bin/sh
# Runs a command with each file of /run/secrets as the environment variable of its name; an empty file is none. So a
# secret is in no image, command line or Docker description. It is read as commands/compose/secrets.py reads it on
# the host: without a byte order mark, CRs, and space at either end.
for file in "${SECRETS_FOLDER:-/run/secrets}"/*; do
  [ -f "$file" ] || continue
  value=$(sed -e "1s/^$(printf '\357\273\277')//" -e 's/\r$//' "$file")
  value=${value#"${value%%[![:space:]]*}"}
  value=${value%"${value##*[![:space:]]}"}
  [ -z "$value" ] || export "$(basename "$file")=$value"
done

# A profile's own certificates are trusted beside those that everybody trusts, by each client in its own way.
if [ -s "${CA_FILE:-}" ]; then
  bundle=$(mktemp) && cat "${SYSTEM_CA_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$CA_FILE" >"$bundle" || exit 1
  export SSL_CERT_FILE="$bundle" REQUESTS_CA_BUNDLE="$bundle" AWS_CA_BUNDLE="$bundle" CURL_CA_BUNDLE="$bundle"
fi

# Docker gives containers the proxies of a person's ~/.docker/config.json, or a profile names some. Our own services are not reached by those; an
# address of IPv6 in NO_PROXY, which httpx cannot read, is left out.
if [ -n "${HTTP_PROXY:-}${HTTPS_PROXY:-}${ALL_PROXY:-}${http_proxy:-}${https_proxy:-}${all_proxy:-}" ]; then
  own=localhost,127.0.0.1,localstack,airbyte,snowflake,postgres,prefect-server,redis,alerts,host.docker.internal
  theirs=$(printf %s "${NO_PROXY:-}${NO_PROXY:+,}${no_proxy:-}" | tr ', ' '\n\n' | grep -v -e '::' -e '\[' | sort -u | tr '\n' ',')
  export NO_PROXY="$theirs$own" no_proxy="$theirs$own"
fi
exec "$@"
