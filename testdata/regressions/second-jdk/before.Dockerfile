FROM debian:bookworm-slim
COPY jdk-17 /opt/jdk-17
ENV JAVA_HOME=/opt/jdk-17
COPY app /app
