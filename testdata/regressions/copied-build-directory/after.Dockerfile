FROM debian:bookworm-slim AS build
WORKDIR /src
COPY app .
RUN mkdir -p dist/assets && seq 1 300000 >dist/bundle.js && seq 1 3 900000 >dist/assets/vendor.js && seq 9 9 99999 >dist/index.html

FROM debian:bookworm-slim
WORKDIR /app
COPY --from=build /src/dist ./dist
COPY --from=build /src ./build
CMD ["/app/run"]
