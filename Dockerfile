# Debian, not Alpine: onnxruntime is built for glibc. Another registry's copy: --build-arg NODE_IMAGE=...
ARG NODE_IMAGE=node:22.23.2-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json build.mjs ./
COPY src src
RUN npm run build && npm prune --omit=dev
# onnxruntime-node brings its library for every platform; only this machine's is needed.
RUN find node_modules/onnxruntime-node/bin -mindepth 3 -type d ! -path "*/linux/$(node -p process.arch)" -prune -exec rm -r {} +

FROM ${NODE_IMAGE}
# Decoding needs two pool threads for each of PATCHLINE_THREADS.
ENV NODE_ENV=production \
    ORT_DISABLE_TELEMETRY=1 \
    UV_THREADPOOL_SIZE=16
COPY package.json LICENSE /app/
COPY bin /app/bin
COPY models /app/models
COPY --from=build /app/node_modules /app/node_modules
COPY --from=build /app/dist /app/dist
RUN ln -s /app/bin/patchline.cjs /usr/local/bin/patchline && install -d -o node -g node /data
USER node
WORKDIR /data
# Whether configuration, Redis and the store can be used.
HEALTHCHECK --interval=60s --timeout=30s --start-period=30s CMD ["patchline", "status"]
# `env node` in the launcher's first line replaces itself by node, so that signals reach it.
ENTRYPOINT ["patchline"]
CMD ["--help"]
