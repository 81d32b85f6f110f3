#!/bin/sh
# Lays out the root of the image: runs in the Dockerfile's build stage, on Debian.
#
#   image-root.sh PROGRAM ROOT VERSION EPOCH [FIPS_MODULE]
#
# The program (stripped), the shared libraries that the loader finds for it, CA certificates, what
# characters UTF-8 has, the account, the licences of all that, and a list of it (SPDX 2.3). What goes
# in by name is this list alone; a library comes in by being needed.
set -eu
export LC_ALL=C

program=$1 root=$2 version=$3 epoch=$4 module=${5:-}
# Linked statically; Makefile and daemon/mhd_socket.h say why.
static='libmicrohttpd-dev libarchive-dev'
list=$root/usr/share/specman/specman.spdx.json

# The package that a file is from: dpkg knows some paths without /usr, some with it.
owner() {
	found=$(dpkg-query -S "$1" 2>/dev/null || dpkg-query -S "/usr$1" 2>/dev/null ||
		dpkg-query -S "${1#/usr}") || {
		echo "image-root.sh: no package has $1" >&2
		return 1
	}
	printf '%s\n' "${found%%:*}"
}

field() {
	dpkg-query -W -f "\${$2}" "$1"
}

json_package() { # name, version, architecture, source, id
	printf '    {"SPDXID": "SPDXRef-%s", "name": "%s", "versionInfo": "%s",\n' "$5" "$1" "$2"
	printf '     "supplier": "Organization: Debian", "downloadLocation": "NOASSERTION",\n'
	printf '     "filesAnalyzed": false, "sourceInfo": "built from %s",\n' "$4"
	printf '     "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION",\n'
	printf '     "copyrightText": "NOASSERTION",\n'
	printf '     "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",\n'
	printf '       "referenceLocator": "pkg:deb/debian/%s@%s?arch=%s&distro=bookworm"}]},\n' \
		"$(encode "$1")" "$(encode "$2")" "$3"
}

encode() {
	printf '%s' "$1" | sed 's/%/%25/g; s/+/%2B/g; s/:/%3A/g; s/~/%7E/g'
}

install -d -m 0755 "$root" "$root/etc/specman/registry" "$root/usr/share/specman"
install -d -m 1777 "$root/tmp"
install -d -m 0700 "$root/var/lib/specman"
install -D -m 0755 "$program" "$root/usr/bin/specman"
strip "$root/usr/bin/specman"

ldd "$program" | grep 'not found' >&2 && exit 1
libraries=$(ldd "$program" | sed -n 's/^[^/]*\(\/[^ ]*\) (0x.*/\1/p')
packages=$static
for library in $libraries; do
	install -D -m 0755 "$library" "$root$library"
	package=$(owner "$library")
	packages="$packages $package"
done

install -D -m 0644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
packages="$packages ca-certificates"
# Of the locale C.UTF-8: zip archives with names in UTF-8 are read by it (storage/entry_reader.c).
characters=/usr/lib/locale/C.utf8/LC_CTYPE
install -D -m 0644 "$characters" "$root$characters"
package=$(owner "$characters")
packages="$packages $package"
echo 'specman:x:65532:65532:specman:/var/lib/specman:/usr/bin/specman' >"$root/etc/passwd"
echo 'specman:x:65532:' >"$root/etc/group"
# Without this file the C library asks DNS first, and hostAliases are not heeded.
printf '%s\n' 'passwd: files' 'group: files' 'hosts: files dns' >"$root/etc/nsswitch.conf"
chmod 0644 "$root/etc/passwd" "$root/etc/group" "$root/etc/nsswitch.conf"

# OpenSSL's FIPS provider, where it is given: active, and the base provider (which has no algorithms)
# beside it, but not the default one.
if [ -n "$module" ]; then
	module_path=$(openssl version -m | cut -d '"' -f 2)/fips.so
	configuration=$(openssl version -d | cut -d '"' -f 2)
	install -D -m 0755 "$module" "$root$module_path"
	install -d -m 0755 "$root$configuration"
	# With -self_test_onload the self-tests run whenever the module is loaded. Else the file says
	# that they have passed, which is not to be copied to another machine (fips_module(7)).
	openssl fipsinstall -quiet -self_test_onload -module "$root$module_path" \
		-out "$root$configuration/fipsmodule.cnf"
	cat >"$root$configuration/openssl.cnf" <<-END
		openssl_conf = openssl_init
		.include $configuration/fipsmodule.cnf
		[openssl_init]
		providers = providers
		[providers]
		fips = fips_sect
		base = base_sect
		[base_sect]
		activate = 1
	END
	chmod 0644 "$root$configuration"/*.cnf
fi

packages=$(printf '%s' "$packages" | tr ' ' '\n' | sort -u)
install -D -m 0644 LICENSE "$root/usr/share/doc/specman/copyright"
for package in $packages; do
	install -D -m 0644 "/usr/share/doc/$package/copyright" \
		"$root/usr/share/doc/$package/copyright"
done

digest=$(sha256sum "$root/usr/bin/specman" | cut -d ' ' -f 1)
{
	printf '{\n  "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",\n'
	printf '  "name": "specman-%s",\n' "$version"
	printf '  "documentNamespace": "urn:sha256:%s",\n' "$digest"
	printf '  "creationInfo": {"created": "%s", "creators": ["Tool: image-root.sh"]},\n' \
		"$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)"
	printf '  "packages": [\n'
	relations=
	for package in $packages; do
		id=$(printf '%s' "$package" | tr -c 'A-Za-z0-9.\n' -)
		# shellcheck disable=SC2016 # dpkg's variables
		source=$(field "$package" 'source:Package')
		json_package "$package" "$(field "$package" Version)" \
			"$(field "$package" Architecture)" "$source" "$id"
		case " $static " in
		*" $package "*) relation=STATIC_LINK ;;
		*) relation=DEPENDS_ON ;;
		esac
		relations="$relations$relation $id
"
	done
	if [ -n "$module" ]; then
		module_digest=$(sha256sum "$module" | cut -d ' ' -f 1)
		printf '    {"SPDXID": "SPDXRef-fips.so", "name": "fips.so",\n'
		printf '     "comment": "As it was given to the build: nothing here says that it is validated",\n'
		printf '     "downloadLocation": "NOASSERTION", "filesAnalyzed": false,\n'
		printf '     "checksums": [{"algorithm": "SHA256", "checksumValue": "%s"}],\n' "$module_digest"
		printf '     "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION",\n'
		printf '     "copyrightText": "NOASSERTION"},\n'
		relations="${relations}DEPENDS_ON fips.so
"
	fi
	printf '    {"SPDXID": "SPDXRef-specman", "name": "specman", "versionInfo": "%s",\n' "$version"
	printf '     "downloadLocation": "NOASSERTION", "filesAnalyzed": false,\n'
	printf '     "checksums": [{"algorithm": "SHA256", "checksumValue": "%s"}],\n' "$digest"
	printf '     "licenseConcluded": "Apache-2.0", "licenseDeclared": "Apache-2.0",\n'
	printf '     "copyrightText": "NOASSERTION"}\n  ],\n  "relationships": [\n'
	printf '%s' "$relations" | while read -r relation id; do
		printf '    {"spdxElementId": "SPDXRef-specman", "relationshipType": "%s",\n' "$relation"
		printf '     "relatedSpdxElement": "SPDXRef-%s"},\n' "$id"
	done
	printf '    {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES",\n'
	printf '     "relatedSpdxElement": "SPDXRef-specman"}\n  ]\n}\n'
} >"$list"
