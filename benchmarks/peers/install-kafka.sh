#!/usr/bin/env bash
# Installs Apache Kafka's broker with everything it needs to run, as jars, with Maven.
#
#   benchmarks/peers/install-kafka.sh [FOLDER]      FOLDER is .dev/kafka when it is not given
#
# KAFKA_ARTIFACT=kafka-tools installs its command line tools instead, KAFKA_RELEASE another version.
#
# Needs Java 17 or newer and Maven. Does nothing when the version asked for is already there, so
# that a script may call it every time. Starting the broker is the work of kafka.ts beside this file.
set -euo pipefail

version="${KAFKA_RELEASE:-4.4.0}"
artifact="${KAFKA_ARTIFACT:-kafka_2.13}"
root="$(cd "$(dirname "$0")/../.." && pwd)"
folder="${1:-$root/.dev/kafka}"

if [ -f "$folder/VERSION" ] && [ "$(cat "$folder/VERSION")" = "$version" ]; then
  echo "Apache Kafka $version is in $folder"
  exit 0
fi
for tool in java mvn; do
  command -v "$tool" >/dev/null || { echo "install-kafka: $tool is missing" >&2; exit 1; }
done

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cat > "$work/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tailrace.benchmarks</groupId>
  <artifactId>kafka-peer</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>$artifact</artifactId>
      <version>$version</version>
    </dependency>
  </dependencies>
</project>
POM
mvn -q -B -f "$work/pom.xml" dependency:copy-dependencies \
  -DoutputDirectory="$work/libs" -DincludeScope=runtime

rm -rf "$folder"
mkdir -p "$folder"
mv "$work/libs" "$folder/libs"
echo "$version" > "$folder/VERSION"
echo "Apache Kafka $version installed in $folder ($(find "$folder/libs" -name '*.jar' | wc -l) jars)"
