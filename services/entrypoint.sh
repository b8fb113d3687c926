#!/bin/sh
# Runs the platform image's command. A flow, where nothing says which systems are meant, `docker run IMAGE python
# flows/full_pipeline.py`, has embedded ones and the sample files; one `-e` that names a system leads it there.
[ -e "$DBT_TARGET_PATH/manifest.json" ] || cp -r /home/platform/parsed/. "$DBT_TARGET_PATH" 2>/dev/null
case "$1 $2" in
  "python flows/"*)
    env | grep -qE '^((AIRBYTE|AWS|S3|SENSOR|SNOWFLAKE)_[A-Z_]+|DBT_TARGET|PREFECT_(API_URL|API_KEY|PROFILE))=' ||
      exec python -m commands.embedded run "$@" ;;
esac
exec "$@"
