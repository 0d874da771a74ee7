#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: tests/fuzz/run-long.sh SECONDS [NAME...]
# Fuzzes every target (or those named) for SECONDS each with libFuzzer, AddressSanitizer and
# UndefinedBehaviorSanitizer, starting from its corpus. FUZZ_SEED repeats an earlier run's seed.
set -eu

usage() {
	echo "usage: tests/fuzz/run-long.sh SECONDS [NAME...]" >&2
	exit 2
}

[ $# -ge 1 ] || usage
seconds=$1
shift
case $seconds in
'' | *[!0-9]*) usage ;;
esac

top=$(cd "$(dirname "$0")/../.." && pwd)
build=$top/build-ci/fuzz
work=$top/build-ci/fuzz-work
seed=${FUZZ_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}

names=("$@")
if [ ${#names[@]} -eq 0 ]; then
	for source in "$top"/tests/fuzz/fuzz_*.c; do
		[ -e "$source" ] || continue
		name=$(basename "$source" .c)
		names+=("${name#fuzz_}")
	done
fi
if [ ${#names[@]} -eq 0 ]; then
	echo "tests/fuzz has no target: nothing was fuzzed" >&2
	exit 1
fi

mkdir -p "$work"
if [ ! -f "$build/build.ninja" ]; then
	rm -rf "$build"
	CC=clang CXX=clang++ meson setup "$build" "$top" -Dfuzzers=true -Dwerror=true \
		-Db_sanitize=address,undefined -Db_lundef=false >"$build.log" 2>&1 || {
		cat "$build.log" >&2
		exit 1
	}
fi
ninja -C "$build" fuzzers >"$build.log" 2>&1 || {
	cat "$build.log" >&2
	exit 1
}

# Fuzzes one target. New inputs go to a directory of the run, never into the corpus that is kept
# with the sources; a crashing input stays in $work/NAME.crash-*.
fuzz() {
	local name=$1 found=$work/$1.found log=$work/$1.log status=0
	rm -rf "$found" "$work/$name".crash-* "$work/$name".leak-* "$work/$name".timeout-*
	mkdir -p "$found"
	UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
		"$build/tests/fuzz/fuzz_$name" -seed="$seed" -max_total_time="$seconds" -timeout=10 \
		-rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$work/$name." \
		"$found" "$top/tests/fuzz/corpus/$name" >"$log" 2>&1 || status=$?
	if [ "$status" -ne 0 ]; then
		cat "$log"
		echo "fuzz $name: FAILED (exit $status), inputs in $work/$name.*"
		return 1
	fi
	echo "fuzz $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs," \
		"$(find "$found" -type f | wc -l) new inputs, no crash"
}

echo "fuzz: ${#names[@]} targets, $seconds s each, seed $seed"

failed=0
running=0
for name in "${names[@]}"; do
	if [ "$running" -ge "$(nproc)" ]; then
		wait -n || failed=$((failed + 1))
		running=$((running - 1))
	fi
	fuzz "$name" &
	running=$((running + 1))
done
while [ "$running" -gt 0 ]; do
	wait -n || failed=$((failed + 1))
	running=$((running - 1))
done

if [ "$failed" -gt 0 ]; then
	echo "fuzz: $failed of ${#names[@]} targets failed"
	exit 1
fi
echo "fuzz: ${#names[@]} targets, none failed"
