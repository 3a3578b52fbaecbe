#!/usr/bin/env bash
# Installs the Python clients of the interop suite into a virtual environment, .dev/interop/python.
# Does nothing when what test/interop/python/requirements.txt pins is already there.
set -euo pipefail
cd "$(dirname "$0")/../../.."

requirements=test/interop/python/requirements.txt
folder=.dev/interop/python
if cmp -s "$requirements" "$folder/requirements.txt"; then
  echo "the Python clients are in $folder"
  exit 0
fi
python3 -c 'import venv, sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || {
  echo 'test:interop: python3 is missing: Python 3.10 or newer with its venv module is needed' >&2
  exit 1
}
rm -rf "$folder"
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --only-binary :all: --requirement "$requirements"
cp "$requirements" "$folder/requirements.txt"
echo "the Python clients were installed in $folder"
