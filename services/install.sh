#!/bin/sh
# Installs the packages of a lock file, as they are written there: `install-locked FILE [--compile]`.
set -eu
if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi
pip install --no-deps --require-hashes --no-cache-dir --no-compile --quiet -r "$1"
# Side by side, which pip does not; starting a service without would take seconds more each time.
if [ "${2:-}" = --compile ]; then python -m compileall -q -j 0 /opt/venv/lib || true; fi
