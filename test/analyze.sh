#!/usr/bin/env bash
# Static analysis of the sources: shellcheck, cppcheck, gcc -fanalyzer, clang-tidy. Exit 1 on a finding.
set -u
cd "$(dirname "$0")/.." || exit 1
flags=(-D_GNU_SOURCE '-DSPECMAN_VERSION="0"' -I. -Idaemon)
status=0
shellcheck test/*.sh test/fips/*.sh test/fuzz/*.sh deploy/*.sh deploy/completion/*.bash .ci/run || status=1
# cppcheck takes what a cleanup attribute releases for a leak.
cppcheck --quiet --std=c11 --enable=warning,portability --error-exitcode=1 --inline-suppr \
	--suppress=memleak --suppress=resourceLeak "${flags[@]}" daemon oci storage tls || status=1
# Without inlining, which makes the analyzer of gcc 12 take a cleanup's variable for another one.
for file in daemon/*.c daemon/base/*.c oci/*.c storage/*.c tls/*.c; do
	quiet=
	case $file in
	daemon/htpasswd.c | daemon/registry.c | daemon/signers.c | oci/nameset.c | oci/transport.c | storage/merge.c | \
		storage/pack.c | storage/release.c | storage/view.c)
		# It loses what is put into an array at an index that it does not know, or is
		# handed on out of a structure.
		quiet=-Wno-analyzer-malloc-leak
		;;
	esac
	gcc -std=c17 "${flags[@]}" -O1 -fno-inline -fanalyzer -Werror ${quiet:+"$quiet"} -c -o /dev/null "$file" ||
		status=1
done
clang-tidy --quiet daemon/*.c daemon/base/*.c oci/*.c storage/*.c tls/*.c -- -std=c17 "${flags[@]}" ||
	status=1
exit $status
