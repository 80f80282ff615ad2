# A server for pods, and nothing else: no key, no pod and no identity is ever built in.
# docs/deploy.md says how to build and run it. What is copied is listed in .dockerignore.
FROM python:3.13-slim-bookworm AS build
WORKDIR /src
RUN ["python", "-m", "venv", "/app"]
COPY requirements/image.txt requirements/image.txt
RUN ["/app/bin/pip", "install", "--no-cache-dir", "--require-hashes", "-r", "requirements/image.txt"]
COPY pyproject.toml README.md LICENSE ./
COPY cloud cloud
COPY contributor_tools contributor_tools
COPY ingest ingest
COPY maintainer_tools maintainer_tools
COPY vault vault
RUN ["/app/bin/pip", "install", "--no-cache-dir", "--no-deps", "--no-build-isolation", "."]

FROM python:3.13-slim-bookworm
COPY --from=build /app /app
ENV PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 3030
STOPSIGNAL SIGTERM
# The probes are inside the container only; /ready says no while the server stops.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s \
  CMD ["/app/bin/python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:9464/ready', timeout=4)"]
ENTRYPOINT ["/app/bin/shared-pod", "serve", "--host", "0.0.0.0", "--metrics", "127.0.0.1:9464"]
CMD ["/pods"]
