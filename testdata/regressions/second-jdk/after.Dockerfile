FROM debian:bookworm-slim
COPY jdk-17 /opt/jdk-17
COPY jdk-21 /opt/jdk-21
ENV JAVA_HOME=/opt/jdk-21
COPY app /app
