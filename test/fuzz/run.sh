#!/bin/sh
# Fuzzes for a while, all harnesses at once; what makes one fail is kept in BUILD_DIR.
#
#   test/fuzz/run.sh BUILD_DIR SECONDS HARNESS…
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
seconds=$2
shift 2
scratch=$(mktemp -d -p /dev/shm specman-fuzz-XXXXXX)
trap 'rm -rf "$scratch"' EXIT

mkdir -p "$build/seeds/unpack" "$build/seeds/release"
python3 -B "$here/../integration/lib/hostile_archives.py" "$build/seeds/unpack"
started=
for name in "$@"; do
	mkdir -p "$build/corpus/$name"
	TMPDIR=$scratch "$build/${name}_fuzz" -max_total_time="$seconds" -max_len=16384 -timeout=20 \
		-rss_limit_mb=3000 -artifact_prefix="$build/$name-" "$build/corpus/$name" \
		"$here/corpus/$name" "$build/seeds/$name" >"$build/$name.log" 2>&1 &
	started="$started $name:$!"
done
status=0
for one in $started; do
	if wait "${one#*:}"; then
		echo "${one%:*}: $(grep -a '^Done' "$build/${one%:*}.log")"
	else
		echo "${one%:*}: FAILED, see $build/${one%:*}.log"
		status=1
	fi
done
exit $status
