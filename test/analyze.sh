#!/usr/bin/env bash
# Static analysis of the sources: shellcheck, cppcheck, clang-tidy. Exit 1 on a finding.
set -u
cd "$(dirname "$0")/.." || exit 1
flags=(-D_GNU_SOURCE '-DSPECMAN_VERSION="0"' -I. -Idaemon)
status=0
shellcheck test/*.sh test/fuzz/*.sh deploy/*.sh deploy/completion/*.bash .ci/run || status=1
# cppcheck takes what a cleanup attribute releases for a leak.
cppcheck --quiet --std=c11 --enable=warning,portability --error-exitcode=1 --inline-suppr \
	--suppress=memleak --suppress=resourceLeak "${flags[@]}" daemon oci storage tls || status=1
clang-tidy --quiet daemon/*.c daemon/base/*.c oci/*.c storage/*.c tls/*.c -- -std=c17 "${flags[@]}" ||
	status=1
exit $status
