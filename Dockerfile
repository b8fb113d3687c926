# The platform's images. The last stage has Prefect's server, the worker, the sensor and the bootstrap in one image:
#
#   docker build -t prefect-orchestration .
#   docker build -t mock-airbyte --target airbyte .
#   docker build -t snowflake-emulator --target snowflake .
#
# Behind a mirror or proxy: `--secret id=pip,src=$HOME/.config/pip/pip.conf` configures pip's index, and
# `--secret id=ca,src=/path/to/ca.crt` adds trusted certificates. Neither stays in a layer.
# There is no `# syntax=` line: the engine's own frontend is enough, and fetching another one would need a registry.

# This stage makes the images independent of the file modes and line endings in the checkout.
FROM python:3.13-slim-trixie AS sources
WORKDIR /app
COPY . .
RUN chmod -R u=rwX,go=rX . && find services -name '*.sh' -exec sed -i 's/\r$//' {} + -exec chmod 755 {} +

FROM python:3.13-slim-trixie AS base
RUN useradd --uid 10001 --create-home platform
COPY --from=sources /app/services/with_secrets.sh /usr/local/bin/with-secrets
ENTRYPOINT ["with-secrets"]
WORKDIR /app
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1

FROM base AS build
# Python finds the code through this file, even if it ignores environment variables.
RUN python -m venv /opt/venv && echo /app > "$(echo /opt/venv/lib/python*/site-packages)/platform.pth"
ENV PIP_CONFIG_FILE=/run/secrets/pip PIP_DISABLE_PIP_VERSION_CHECK=1
COPY --from=sources /app/services/install.sh /usr/local/bin/install-locked

FROM build AS airbyte-packages
COPY --from=sources /app/services/airbyte/requirements.lock .
RUN --mount=type=secret,id=pip --mount=type=secret,id=ca install-locked requirements.lock --compile

FROM build AS snowflake-packages
COPY --from=sources /app/services/snowflake/requirements.lock .
RUN --mount=type=secret,id=pip --mount=type=secret,id=ca install-locked requirements.lock --compile

FROM build AS platform-packages
COPY --from=sources /app/requirements-platform.lock /app/requirements-lineage.lock .
RUN --mount=type=secret,id=pip --mount=type=secret,id=ca install-locked requirements-platform.lock && \
    PIP_TARGET=/opt/venv/lineage install-locked requirements-lineage.lock

FROM base AS airbyte
COPY --from=airbyte-packages /opt/venv /opt/venv
COPY --from=sources /app/services/__init__.py /app/services/ports.py services/
COPY --from=sources /app/services/guard services/guard
COPY --from=sources /app/services/content.py services/
COPY --from=sources /app/services/airbyte services/airbyte
COPY --from=sources /app/localstack/connections.yaml localstack/
COPY --from=sources /app/services/answers.sh /usr/local/bin/answers
RUN install -d -o platform /data /data/lake /data/state
USER platform
ENV MOCK_AIRBYTE_HOST=0.0.0.0 MOCK_AIRBYTE_LAKE_DIR=/data/lake MOCK_AIRBYTE_STATE_DIR=/data/state
EXPOSE 8006
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["answers", "8006", "/api/public/v1/health"]
CMD ["python", "-m", "services.airbyte"]

FROM base AS snowflake
COPY --from=snowflake-packages /opt/venv /opt/venv
COPY --from=sources /app/services/__init__.py /app/services/ports.py services/
COPY --from=sources /app/services/guard services/guard
COPY --from=sources /app/services/snowflake services/snowflake
COPY --from=sources /app/services/answers.sh /usr/local/bin/answers
RUN install -d -o platform /data
USER platform
ENV SNOWFLAKE_EMULATOR_HOST=0.0.0.0 SNOWFLAKE_EMULATOR_DATA=/data
EXPOSE 8085
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["answers", "8085", "/health"]
CMD ["python", "-m", "services.snowflake"]

FROM base AS platform
COPY --from=platform-packages /opt/venv /opt/venv
COPY --from=sources /app/services/answers.sh /usr/local/bin/answers
COPY --from=sources /app/services/entrypoint.sh /usr/local/bin/entrypoint
ENTRYPOINT ["with-secrets", "entrypoint"]
RUN install -d -o platform /data /data/lake /data/warehouse /data/published /data/packages /data/alerts \
    /data/airbyte-state /data/snowflake /home/platform/.prefect
USER platform
# Paths of the containers' data, and settings that turn off telemetry.
ENV LAKE_DIR=/data/lake WAREHOUSE_PATH=/data/warehouse/warehouse.duckdb \
    PUBLISHED_PATH=/data/published/warehouse.duckdb ALERTS_DIR=/data/alerts DOCS_DIR=/data/published/docs \
    DBT_PROJECT_DIR=/app/dbt_project DBT_TARGET_PATH=/home/platform/dbt DBT_LOG_PATH=/home/platform/dbt \
    DBT_PACKAGES_INSTALL_PATH=/data/packages/installed \
    PYTHONPYCACHEPREFIX=/home/platform/pycache \
    DO_NOT_TRACK=1 PREFECT_SERVER_ANALYTICS_ENABLED=false \
    PREFECT_UI_API_URL=/api PREFECT_UI_STATIC_DIRECTORY=/home/platform/ui \
    PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS=120
COPY --from=sources /app .
# This writes bytecode only for the modules that will run, a third of the size of all bytecode. Compose mounts an empty
# writable folder over dbt's folder, into which the entrypoint copies the parsed project.
RUN python -c "from blocks import connections, dbt_packages; dbt_packages.install(connections.current().dbt(), print)" && \
    python -m blocks.dbt_command parse --no-use-colors && cp -r /home/platform/dbt /home/platform/parsed && python -c "import flows.sensors.s3_sensor, \
    services.bootstrap.__main__, commands.embedded.prefect_server, commands.embedded.stand_ins, services.worker, services.fork_server, services.watch.__main__, services.receiver.__main__, services.console.__main__, services.console.query"
# The version of the platform, from `make image TAG=…`. Each run and each published table records it.
ARG VERSION="" COMMIT=""
LABEL org.opencontainers.image.title="local-data-platform" org.opencontainers.image.version=$VERSION \
    org.opencontainers.image.revision=$COMMIT
ENV PLATFORM_VERSION=$VERSION PLATFORM_COMMIT=$COMMIT
EXPOSE 4200
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s CMD ["answers", "4200", "/api/ready"]
CMD ["uvicorn", "--factory", "services.prefect_app:create_app", "--host", "0.0.0.0", "--port", "4200", "--log-level", "warning"]
