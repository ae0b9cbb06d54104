FROM node:20-alpine
COPY app /app
RUN mkdir /data && echo ready >/data/state
CMD ["/app/run"]
