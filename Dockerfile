# One image for every service: the command says which. Built in two stages, so that compilers and dev dependencies stay behind. Both start from one
# base, pinned by its digest for all platforms. `npm run image` builds it with buildah and goes through the journeys in containers of it.
FROM node:24.21.0-bookworm-slim@sha256:0e0ff40c39bc087845bfb27465a0df4ea419520094bc35842ff83dd8cbe6f9b6 AS build
WORKDIR /millrace
COPY package.json package-lock.json .npmrc ./
# With the optional ones: the compiler is among them.
RUN --mount=type=cache,target=/root/.npm npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY templates templates
COPY test test
COPY tools tools
COPY libs libs
COPY apps apps
# What no service needs goes: of packages the sources, maps, types, tests and documents; of ours the forms for developers. The command `millrace` and
# `reseal` stay. The list of what is in the image (SBOM) is made of what is left; npm forgets some packages if it is asked for a part of all.
RUN npm run build \
  && npm prune --omit=dev --omit=optional \
  && npm pkg delete devDependencies optionalDependencies scripts \
  && npm sbom --sbom-format=cyclonedx > sbom.cdx.json \
  && find node_modules -type f \( -name '*.map' -o -name '*.ts' -o -name '*.mts' -o -name '*.cts' -o -name '*.md' -o -name '*.tsbuildinfo' \) -delete \
  && find node_modules -type d \( -name test -o -name tests -o -name __tests__ -o -name 'benchmark*' -o -name example -o -name examples \) -prune -exec rm -r {} + \
  && rm -rf dist/.built dist/.tsbuildinfo dist/test dist/libs/testing dist/apps/standalone dist/apps/local-broker \
  && find dist/tools -mindepth 1 -maxdepth 1 ! -name cli ! -name reseal -exec rm -r {} +

FROM node:24.21.0-bookworm-slim@sha256:0e0ff40c39bc087845bfb27465a0df4ea419520094bc35842ff83dd8cbe6f9b6
# Nothing is installed in a container, and what can install is what scanners find fault with. `millrace` is the command of docs/operations.md.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn* /opt/yarn* \
  && ln -s /millrace/dist/tools/cli/bin.sh /usr/local/bin/millrace
ENV NODE_ENV=production HOST=0.0.0.0
WORKDIR /millrace
COPY --from=build /millrace/package.json /millrace/sbom.cdx.json ./
COPY --from=build /millrace/node_modules node_modules
COPY --from=build /millrace/dist dist
ARG REVISION=unknown
ENV MILLRACE_REVISION=$REVISION
LABEL org.opencontainers.image.title="Millrace" \
  org.opencontainers.image.description="Durable webhook intake, ordered AI pipelines, exactly-one effects, one GraphQL timeline." \
  org.opencontainers.image.version="0.1.0" \
  org.opencontainers.image.revision=$REVISION \
  org.opencontainers.image.base.name="docker.io/library/node:24.21.0-bookworm-slim" \
  org.opencontainers.image.base.digest="sha256:0e0ff40c39bc087845bfb27465a0df4ea419520094bc35842ff83dd8cbe6f9b6"
# A number, because a cluster that wants no root cannot look a name up. It is the user `node` of the base.
USER 1000:1000
EXPOSE 8080
# No HEALTHCHECK: Kubernetes does not read it, docker-compose.yml has its own, and `migrate`, `millrace` and `reseal` have no port to ask.
# `node` itself is process 1, so that SIGTERM reaches it. The heap is that of `npm run start:…`: docs/operations.md.
ENTRYPOINT ["node", "--max-semi-space-size=8", "--initial-old-space-size=64", "--heap-growing-percent=40"]
CMD ["--max-semi-space-size=32", "dist/apps/ingestion/src/main.js"]
