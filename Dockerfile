# One image for every service: the command says which. Built in two stages, so that compilers and dev dependencies stay behind.
FROM node:24.21.0-bookworm-slim AS build
WORKDIR /millrace
COPY package.json package-lock.json .npmrc ./
# With the optional ones: the compiler is among them.
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY tools tools
COPY libs libs
COPY apps apps
# What no service needs: of packages the maps, types and documents, two fifths of their size; of ours the forms for developers. The command
# `millrace` and `reseal` stay.
RUN npm run build && npm prune --omit=dev --omit=optional \
  && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.md' \) -delete \
  && rm -rf dist/test dist/libs/testing dist/apps/standalone dist/apps/local-broker \
  && find dist/tools -mindepth 1 -maxdepth 1 ! -name cli ! -name reseal -exec rm -r {} +

FROM node:24.21.0-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0
WORKDIR /millrace
COPY --from=build /millrace/package.json ./
COPY --from=build /millrace/node_modules node_modules
COPY --from=build /millrace/dist dist
ARG REVISION=unknown
ENV MILLRACE_REVISION=$REVISION
# A number, because a cluster that wants no root cannot look a name up. It is the user `node` of the base.
USER 1000:1000
EXPOSE 8080
# `node` itself is process 1, so that SIGTERM reaches it. The heap is that of `npm run start:…`: docs/operations.md.
ENTRYPOINT ["node", "--max-semi-space-size=8", "--initial-old-space-size=64", "--heap-growing-percent=40"]
CMD ["--max-semi-space-size=32", "dist/apps/ingestion/src/main.js"]
