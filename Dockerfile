# One image for every service and the command line; who runs it chooses the command (docker-compose.yml does).
# Nothing is compiled: Node strips the types when it loads a file. It refuses to do that under node_modules, so what npm
# puts there for libs, services and cli must stay links, and does.

# The tag of a major version brings its patches with every build. Whoever wants the same bytes every time names them:
#   docker build --build-arg NODE_IMAGE=node:24-slim@sha256:... .
ARG NODE_IMAGE=node:24-slim

FROM ${NODE_IMAGE} AS code
WORKDIR /app
COPY . .
# Readable for the user below, whatever the umask of whoever has cloned. Tools for tests stay out.
RUN chmod -R a+rX,go-w . && chmod a+x cli/bin/leakage.mjs && rm -r libs/testing

# Only what decides which packages are installed, so that a change of code leaves the next stage as it is.
FROM ${NODE_IMAGE} AS manifests
WORKDIR /app
COPY . .
RUN find . -type f ! -name package.json ! -name package-lock.json -delete

FROM ${NODE_IMAGE} AS packages
WORKDIR /app
COPY --from=manifests /app .
# What the services and the command line ask for, and nothing else: what the root asks for (a Node and a Postgres out of
# npm, for a start without containers) stays out, and so do tools. No package needs its install script here.
RUN --mount=type=cache,target=/root/.npm \
  npm ci --workspace=services --workspace=cli --omit=dev --ignore-scripts --no-audit --no-fund \
  && rm -r libs/testing node_modules/@leakage/testing

FROM ${NODE_IMAGE}
LABEL org.opencontainers.image.title="Leakage Command Center" \
  org.opencontainers.image.description="Digital-to-call leakage, exact and live: all services and the command line" \
  org.opencontainers.image.licenses="Apache-2.0"
# Every process has its container, so all of them serve their health on one port, and on the network of the containers.
ENV NODE_ENV=production \
  LEAKAGE_DATA_DIR=/data \
  METRICS_HOST=0.0.0.0 \
  METRICS_PORT=9100 \
  API_HOST=0.0.0.0
WORKDIR /app
# The one place that is written to: the generator's state and the api's key. A volume that is mounted there begins like this.
RUN install -d -o node -g node /data && ln -s /app/cli/bin/leakage.mjs /usr/local/bin/leakage
# Packages are also where npm puts a second version of one: in the folder of who asks for it.
COPY --from=packages /app .
COPY --from=code /app .
USER node
STOPSIGNAL SIGTERM
# The answer is kept with the result: docker inspect shows what a service waits for.
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --start-interval=2s --retries=3 \
  CMD ["node", "--input-type=module", "--eval", "const answer = await fetch(`http://127.0.0.1:${process.env.METRICS_PORT}/readyz`); console.log(await answer.text()); process.exitCode = answer.ok ? 0 : 1"]
CMD ["leakage", "--help"]
