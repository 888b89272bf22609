# Stands in for the base of ../../Dockerfile where no registry can be reached: Debian's packages, the pinned Node and an npm, all from this machine
# or from Debian. Good for judging the image, not for running it anywhere: build.ts.
FROM scratch
ADD debian.tar /
COPY node /usr/local/bin/node
COPY npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \
  && groupadd --gid 1000 node \
  && useradd --uid 1000 --gid node --create-home node
CMD ["node"]
