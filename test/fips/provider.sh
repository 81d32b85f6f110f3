#!/usr/bin/env bash
# Builds OpenSSL's FIPS provider, which Debian does not ship, from Debian's source of OpenSSL,
# and nothing else of it: any provider of 3.0 works with the libcrypto that is installed
# (fips_module(7)). What is there already is not built again.
#
#   test/fips/provider.sh DIR    makes DIR/fips.so, DIR/fipsmodule.cnf, DIR/openssl.cnf
#
# It proves that specman works with such a provider. It is not the validated one: that is
# bound to a version and to how it was built.
set -eu
mkdir -p "$1"
dir=$(cd "$1" && pwd)
[ ! -s "$dir/openssl.cnf" ] || exit 0

# apt with lists of its own: source packages, of the suites that the system has binaries of.
apt=$dir/apt
mkdir -p "$apt/parts" "$apt/lists/partial" "$apt/cache/archives/partial" "$dir/source"
for file in /etc/apt/sources.list.d/*.sources; do
	[ ! -e "$file" ] || sed 's/^Types:.*/Types: deb-src/' "$file" >"$apt/parts/${file##*/}"
done
if [ -e /etc/apt/sources.list ]; then
	sed -n 's/^deb /deb-src /p' /etc/apt/sources.list >"$apt/parts/system.list"
fi
apt_own() {
	local program=$1
	shift
	"$program" -o Dir::Etc::SourceList="$apt/none" -o Dir::Etc::SourceParts="$apt/parts" \
		-o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache" \
		-o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none \
		-o Acquire::Retries=3 "$@"
}

apt_own apt-get -qq update

# The version that is installed, else the newest: mirrors may have lost some already.
fetch() {
	local version
	cd "$dir/source"
	for version in $(dpkg-query -W -f '${source:Version}' libssl3) \
		$(apt_own apt-cache showsrc openssl | sed -n 's/^Version: //p' | grep '^3\.0\.' |
			sort -rV); do
		if apt_own apt-get -qq source --download-only "openssl=$version" 2>"$dir/apt.log"; then
			# apt has compared all of it with the signed lists.
			dpkg-source --no-check -x ./*_"$version".dsc openssl >"$dir/unpack.log"
			return
		fi
	done
	cat "$dir/apt.log" >&2
	return 1
}

if [ ! -e "$dir/source/openssl/Configure" ]; then
	rm -rf "$dir/source/openssl"
	(fetch)
fi
cd "$dir/source/openssl"
{
	./Configure linux-"$(uname -m)" enable-fips no-tests
	make -j"$(nproc)" build_generated
	make -j"$(nproc)" providers/fips.so
} >"$dir/build.log" 2>&1 || {
	tail -20 "$dir/build.log" >&2
	exit 1
}
cp providers/fips.so "$dir/fips.so"
rm -rf "$dir/source" "$apt"

# As fips_module(7) says: the self-tests' result and the module's checksum, and who is active.
openssl fipsinstall -quiet -module "$dir/fips.so" -out "$dir/fipsmodule.cnf"
cat >"$dir/openssl.cnf.part" <<END
openssl_conf = openssl_init
.include $dir/fipsmodule.cnf
[openssl_init]
providers = providers
[providers]
fips = fips_sect
base = base
[base]
activate = 1
END
mv "$dir/openssl.cnf.part" "$dir/openssl.cnf"
