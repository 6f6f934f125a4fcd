#!/usr/bin/env bash
# Prints the Python that can run the tests of pkg/jobs/python: one that has
# protobuf, and grpcio or google-cloud-pubsub. $PYTHON comes first; then the one on
# PATH, then Debian's own, which has the packages of Debian.
set -euo pipefail
for python in "${PYTHON:-}" python3 /usr/bin/python3; do
	if [ -n "$python" ] && "$python" -c 'import google.protobuf, grpc' 2>/dev/null; then
		command -v "$python"
		exit
	fi
done
echo "no Python with protobuf and grpcio found: install Debian's python3-protobuf and python3-grpcio, or set PYTHON" >&2
exit 1
