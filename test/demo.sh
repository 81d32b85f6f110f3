#!/bin/sh
# Shows specman at work against a real registry on loopback:
#
#   test/demo.sh BUILD_DIR/specman [--keep]
#
# Checks each step, ends with `N passed, N failed`, leaves nothing behind;
# --keep leaves registry and daemon running and says what to try.
set -eu
exec python3 -B "$(dirname "$0")/integration/demo.py" "$@"
