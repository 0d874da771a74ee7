#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: tests/bench/run.sh [--faces erofs,fuse] [--forms esgz,zstdchunked,gzip]
#                           [--links unshaped,shaped] [--pairs N]
# Builds the program with optimisation, the image once, and prints the tables of
# docs/performance.md. Needs root. Everything is written below build-ci/bench/.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
build=$top/build-ci/release
directory=$top/build-ci/bench

[ "$(id -u)" -eq 0 ] || {
	echo "the benchmark makes network namespaces and drops the page cache: run it as root" >&2
	exit 1
}
"$top/packaging/install-deps.sh" test
[ -f "$build/build.ninja" ] || meson setup "$build" "$top" --buildtype=release -Dtests=enabled
ninja -C "$build" src/cli/varve tests/bench/delay_line
mkdir -p "$directory"
PYTHONDONTWRITEBYTECODE=1 exec /usr/bin/python3 "$top/tests/bench/bench.py" --top "$top" \
	--directory "$directory" --program "$build/src/cli/varve" \
	--delay-line "$build/tests/bench/delay_line" "$@"
