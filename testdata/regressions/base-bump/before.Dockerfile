FROM debian:bookworm-slim
COPY app /app
RUN mkdir /data && echo ready >/data/state
CMD ["/app/run"]
