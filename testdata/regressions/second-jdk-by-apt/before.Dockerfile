FROM debian:bookworm-slim
COPY jdk-21 /opt/jdk-21
ENV JAVA_HOME=/opt/jdk-21
RUN apt-get update \
 && apt-get install -y --no-install-recommends jq \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
COPY app /app
