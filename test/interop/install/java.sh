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

mkdir -p "$folder"
if is_stale "$folder/libs" "$sources/pom.xml"; then
  rm -rf "$folder/libs"
  mvn -q -B -f "$sources/pom.xml" dependency:copy-dependencies \
    -DoutputDirectory="$PWD/$folder/libs" -DincludeScope=runtime
  mv "$folder/libs.sum.new" "$folder/libs.sum"
fi
mapfile -t programs < <(find "$sources/src" -name '*.java' | sort)
if is_stale "$folder/classes" "$sources/pom.xml" "${programs[@]}"; then
  rm -rf "$folder/classes"
  javac --release 17 -Xlint:all,-path,-classfile,-options -nowarn -cp "$folder/libs/*" \
    -d "$folder/classes" "${programs[@]}"
  mv "$folder/classes.sum.new" "$folder/classes.sum"
fi
echo "the Java part of the interop suite is in $folder"
