#!/usr/bin/env bash
# Builds the image with buildah, podman or docker, whichever is there, and says how large it is as pushed.
#
#   image.sh NAME:TAG VERSION [BUILD-ARGUMENT=VALUE…]
#
# The same sources on the same packages give the same bytes: all times are that of the last commit
# (or SOURCE_DATE_EPOCH), and its name is a label (or REVISION). BUILDER chooses the tool, ISOLATION buildah's (chroot where there is no
# more); BASE=… as argument the image that it is built in.
set -euo pipefail
export LC_ALL=C

image=$1 version=$2
shift 2
cd "$(dirname "$0")/.."
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
revision=${REVISION:-$(git rev-parse HEAD 2>/dev/null || echo unknown)}
created=$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)

builder=${BUILDER:-}
for tool in buildah podman docker; do
	[ -n "$builder" ] || ! command -v "$tool" >/dev/null || builder=$tool
done
[ -n "$builder" ] || {
	echo "image.sh: buildah, podman or docker is needed" >&2
	exit 1
}

arguments=(--file deploy/Dockerfile --tag "$image" --build-arg VERSION="$version"
	--build-arg REVISION="$revision" --build-arg CREATED="$created"
	--build-arg SOURCE_DATE_EPOCH="$epoch")
for argument; do
	arguments+=(--build-arg "$argument")
done
case $builder in
buildah | podman)
	# podman keeps layers otherwise, buildah does not: the image is to be the same.
	arguments+=(--timestamp "$epoch" --identity-label=false --layers=false)
	[ -z "${ISOLATION:-}" ] || arguments+=(--isolation "$ISOLATION")
	;;
esac

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$builder" build "${arguments[@]}" .
case $builder in
docker)
	# Not quite what is pushed: docker compresses by itself.
	bytes=$(docker save "$image" | gzip | wc -c)
	;;
*)
	"$builder" push --quiet "$image" "oci:$scratch/pushed:image"
	bytes=$(find "$scratch/pushed/blobs" -type f -printf '%s\n' | awk '{ n += $1 } END { print n }')
	;;
esac
awk -v image="$image" -v bytes="$bytes" \
	'BEGIN { printf "%s: %.1f MiB as pushed\n", image, bytes / 1048576 }'
