# The image of the service. It runs as a number, on a read-only root, without capabilities:
#
#   docker build --build-arg RELEASE=$(git rev-parse HEAD) -t devenviro .
#   docker run --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
#       -p 127.0.0.1:8000:8000 -v devenviro:/data devenviro
#
# The Python that the tests run on; its fixes and Debian's come with `docker build --pull`.
FROM python:3.11-slim-bookworm AS base
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1


FROM base AS build
RUN python -m venv --without-pip /venv
COPY requirements.txt /
# Wheels only: with a compiler in the build, what is installed would depend on the machine it ran on.
RUN pip --python /venv/bin/python install --no-cache-dir --no-compile --disable-pip-version-check \
        --only-binary :all: --require-hashes -r /requirements.txt
# Left out, 70 of 282 MB: the Bootstrap that is not used and the themes of the one that is (25), what
# only downloads models (20; ours is in its wheel), a second build of zstandard (12), the packages'
# own tests and the sources of their extensions (13), stubs for type checkers, source maps.
# What stays big is needed: NumPy with its OpenBLAS (50), the embedder with weights and tokenizer
# (31), gRPC (19), without which qdrant-client is not imported, libcurl with its libraries (16).
RUN cd /venv/lib/python3.*/site-packages \
    && rm -rf flask_bootstrap/static/bootstrap4 flask_bootstrap/static/bootstrap5/css/bootswatch \
        huggingface_hub hf_xet fsspec filelock zstandard/_cffi*.so numpy/_core/include \
    && find . -type d \( -name tests -o -name f2py \) -prune -exec rm -r {} + \
    && find . -type f -regextype posix-extended \
        -regex '.*\.(pyi|map|a|c|cpp|h|hpp|pxd|pxi|pyx)' -delete
# Debug symbols are another 34 MB. Where binutils cannot be installed, the image is just larger. The
# libraries that wheels bring along (*.libs, and what is linked with them) break when stripped.
RUN (apt-get update -qq && apt-get install -qq -y --no-install-recommends binutils) >/dev/null 2>&1; \
    cd /venv/lib/python3.*/site-packages && if command -v strip >/dev/null; then \
        find sqlalchemy tokenizers wordllama yaml zstandard _brotli*.so -name '*.so' \
            -exec strip --strip-debug {} +; \
    fi
COPY app /app/app
COPY migrations /app/migrations
COPY static /app/static
COPY templates /app/templates
COPY config.py gunicorn.conf.py wsgi.py /app/
# The page Settings says with its words what each setting does.
COPY docs/settings.md /app/docs/settings.md
# Compiled here, since a read-only root keeps no bytecode: ready after 1.5 s instead of 4.1 on two
# busy cores. Of the packages, only what a process loads is compiled, 25 MB instead of 40. By hash
# instead of by time, so that neither a copy nor a rebuild makes it stale. The modes of the files
# must not depend on the umask of whoever checked them out.
RUN loaded="alembic.command, gunicorn.app.wsgiapp, gunicorn.workers.gthread, mako.template, numpy, \
        psycopg, qdrant_client, ua_parser, wordllama" \
    && cd /app && ENVIRONMENT=testing DATA_DIR=/tmp/data python -B -c "import sys, wsgi, $loaded; \
        files = {getattr(module, '__file__', None) or '' for module in list(sys.modules.values())}; \
        print(*(file for file in files if file.startswith('/venv') and file.endswith('.py')), sep='\\n')" \
        > /tmp/loaded \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash -i /tmp/loaded /app \
    && chmod -R u=rwX,go=rX /app


FROM base
ENV PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    API_HOST=0.0.0.0 \
    API_PORT=8000 \
    DATA_DIR=/data
COPY --from=build /venv /venv
COPY --from=build /app /app
RUN install -d -m 0700 -o 10001 -g 10001 /data
WORKDIR /app
# A number, so that `runAsNonRoot` can check it; the code belongs to root and cannot be changed.
USER 10001:10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
# By http.client, which knows no proxy: HTTP_PROXY may be set and must not see this.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --start-interval=1s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; probe = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('API_PORT') or 8000), timeout=4); probe.request('GET', '/health/ready'); sys.exit(probe.getresponse().status != 200)"]
CMD ["gunicorn"]
# What the code was built from, in events and on the status page; SENTRY_RELEASE stands above it.
# Last, since it changes with every build and nothing else has to.
ARG RELEASE=
ENV BUILD_RELEASE=$RELEASE
# RFC 3339, of `date -u +%Y-%m-%dT%H:%M:%SZ`.
ARG CREATED=
LABEL org.opencontainers.image.title="DevEnviro" \
      org.opencontainers.image.description="Error monitoring that keeps every error until Sentry has it" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.base.name="docker.io/library/python:3.11-slim-bookworm" \
      org.opencontainers.image.created=$CREATED \
      org.opencontainers.image.revision=$RELEASE
