# One image for workers, API and the making of topics: `docker run IMAGE worker|api|up --servers-only`.
# It needs no file system but a writable /state (workers) and /tmp; see compose.yaml.
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
# requirements-tracing.lock: with OpenTelemetry, 4 MB more; requirements-extras.lock: with what reads Parquet, too, for `stream-app import`, 190 MB more.
ARG REQUIREMENTS=requirements.lock
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/stream-app
WORKDIR /build
COPY requirements.lock requirements-tracing.lock requirements-extras.lock requirements-compiler.lock ./
RUN /opt/stream-app/bin/pip install --require-hashes -r "$REQUIREMENTS"
RUN /opt/stream-app/bin/pip install --require-hashes --no-deps --target /build/compiler -r requirements-compiler.lock
COPY pyproject.toml README.md LICENSE ./
COPY agents agents
COPY config config
COPY stream_app stream_app
COPY tables tables
RUN python -m stream_app.kernel.build /build/compiler
# What installs is not what runs.
RUN /opt/stream-app/bin/pip install --no-deps . && /opt/stream-app/bin/pip uninstall --yes pip setuptools

FROM python:${PYTHON}
# PYTHONTZPATH: zones are those of the pinned tzdata, never the image's.
ENV PATH=/opt/stream-app/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONTZPATH= \
    STREAM_APP_API_HOST=0.0.0.0 \
    STREAM_APP_MONITOR_HOST=0.0.0.0 \
    STREAM_APP_RUN=/tmp/run \
    STREAM_APP_STATE_DIR=/state
COPY --from=build /opt/stream-app /opt/stream-app
RUN mkdir /state && chown 10001:10001 /state
USER 10001:10001
WORKDIR /state
VOLUME /state
EXPOSE 8080
# Of the API; a worker has its own in compose.yaml.
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:8080/readyz', timeout=5)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["stream-app"]
CMD ["api"]
