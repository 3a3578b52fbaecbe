#!/usr/bin/env bash
# Installs the Java part of the interop suite into .dev/java: what java/pom.xml names, with Maven, and
# the programs of java/src, compiled. Does nothing where that is there already.
set -euo pipefail
cd "$(dirname "$0")/../../.."

for tool in java javac mvn; do
  command -v "$tool" >/dev/null || {
    echo "test:interop: $tool is missing: a JDK of Java 17 or newer and Maven are needed" >&2
    exit 1
  }
done

folder=.dev/java
sources=test/interop/java

# $1: what is to be had; the others: what it is made of. Ends with 1 where it is up to date.
is_stale() {
  local target="$1" sum
  shift
  sum="$(cat "$@" | sha256sum)"
  [ "$(cat "$target.sum" 2>/dev/null)" != "$sum" ] && echo "$sum" >"$target.sum.new"
}

# $1: where jars go; $2: the pom that names them.
install_jars() {
  is_stale "$1" "$2" || return 0
  rm -rf "$1"
  mvn -q -B -f "$2" dependency:copy-dependencies -DoutputDirectory="$PWD/$1" -DincludeScope=runtime
  mv "$1.sum.new" "$1.sum"
}

mkdir -p "$folder"
install_jars "$folder/libs" "$sources/pom.xml"
install_jars "$folder/connect" "$sources/connect/pom.xml"
# A schema registry that keeps itself in a topic, whole: the newest release for Java 17.
registry=io.apicurio:apicurio-registry-app:3.0.9:tar.gz:all
if [ "$(cat "$folder/registry/VERSION" 2>/dev/null)" != "$registry" ]; then
  rm -rf "$folder/registry"
  mkdir -p "$folder/registry"
  # Maven leaves a mark of its own where it runs.
  (cd "$folder/registry" && mvn -q -B dependency:unpack -Dartifact="$registry" -DoutputDirectory="$PWD")
  echo "$registry" >"$folder/registry/VERSION"
fi
mapfile -t programs < <(find "$sources/src" -name '*.java' | sort)
if is_stale "$folder/classes" "$sources/pom.xml" "${programs[@]}"; then
  rm -rf "$folder/classes"
  javac --release 17 -Xlint:all,-path,-classfile,-options -nowarn -cp "$folder/libs/*" \
    -d "$folder/classes" "${programs[@]}"
  mv "$folder/classes.sum.new" "$folder/classes.sum"
fi
echo "the Java part of the interop suite is in $folder"
