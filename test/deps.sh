#!/bin/sh
# Installs what the build and the tests need from Debian's archive, and only
# what is missing: a second run touches neither apt nor the network.
#
#   test/deps.sh            build and tests
#   test/deps.sh demo       what builds specman and shows it alone
#   test/deps.sh analyze    the static analysers as well
#   test/deps.sh bench      the servers and the client of the benches as well
#   test/deps.sh abuse      the scanners and slow clients as well
#   test/deps.sh fips       what unpacks and builds OpenSSL as well
#   test/deps.sh coverage   what counts the lines that tests reach as well
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

demo="gcc make libc6-dev binutils
	libmicrohttpd-dev libcurl4-openssl-dev libjansson-dev libarchive-dev
	libssl-dev libcrypt-dev zlib1g-dev libzstd-dev liblzma-dev
	python3 docker-registry skopeo curl openssl apache2-utils ca-certificates"
packages="$demo pkg-config libcmocka-dev
	libarchive-tools git nginx-light tinyproxy-bin
	golang-go nodejs wget chromium tidy sslscan bats jq shellcheck mandoc
	golang-github-sirupsen-logrus-dev zsh fish bash-completion
	prometheus python3-prometheus-client
	python3-yaml python3-jsonschema
	buildah podman runc mmdebstrap uidmap catatonit
	busybox-static zstd zip iproute2
	libbz2-dev nettle-dev npm"

case "${1-}" in
'') ;;
demo) packages=$demo ;;
analyze)
	packages="$packages clang clang-tidy clang-format cppcheck
		libclang-rt-14-dev valgrind"
	;;
bench)
	packages="$packages wrk caddy golang-go"
	;;
abuse)
	packages="$packages testssl.sh slowhttptest"
	;;
fips)
	packages="$packages dpkg-dev perl"
	;;
coverage)
	packages="$packages gcovr"
	;;
*)
	echo "usage: ${0##*/} [demo|analyze|bench|abuse|fips|coverage]" >&2
	exit 2
	;;
esac
# A package that another one provides (pkgconf for pkg-config) counts as there, and so does an npm
# that is none of Debian's.
is_installed() {
	[ "$1" != npm ] || ! command -v npm >/dev/null 2>&1 || return 0
	dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null |
		grep -qx installed && return 0
	dpkg-query -W -f '${db:Status-Status} ${Provides}\n' 2>/dev/null |
		grep '^installed ' | grep -Eq "[ ,]$1([ ,]|\$)"
}

missing=
for package in $packages; do
	is_installed "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null 2>&1; then
		echo "${0##*/}: missing:$missing; run as root, or install sudo" >&2
		exit 1
	fi
	as_root='sudo -E'
fi

# docker-registry and nginx start services on installation; only programs are wanted.
policy=/usr/sbin/policy-rc.d
made_policy=
clean_up() {
	[ -z "$made_policy" ] || $as_root rm -f "$policy"
	made_policy=
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
if [ ! -e "$policy" ]; then
	made_policy=yes
	printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
	$as_root chmod 755 "$policy"
fi

apt() {
	$as_root apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \
		-qq -y "$@"
}

echo "Installing:$missing"
apt update
# shellcheck disable=SC2086 # a list of names
apt install --no-install-recommends $missing
