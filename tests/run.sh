#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: tests/run.sh [--long] [--only unit|lint|fuzz|integration]
# Installs what is missing, builds plain and with sanitizers, runs the test suites, and ends with
# one line: N passed, N failed, N skipped. --long adds fuzzing, crash tests and the benchmark.
# All it writes is below build-ci/; build-ci/results/ has the log of each stage.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
builds=$top/build-ci
results=$builds/results
side_by_side=$(($(nproc) + 1)) # tests; they wait as much as they compute
long=
only=

usage() {
	echo "usage: tests/run.sh [--long] [--only unit|lint|fuzz|integration]" >&2
	exit 2
}

while [ $# -gt 0 ]; do
	case $1 in
	--long) long=1 ;;
	--only)
		[ $# -ge 2 ] || usage
		only=$2
		shift
		;;
	*) usage ;;
	esac
	shift
done
case $only in
'' | unit | lint | fuzz | integration) ;;
*) usage ;;
esac

wanted() {
	[ -z "$only" ] || [ "$only" = "$1" ]
}

# limit SECONDS COMMAND... - in the foreground, so that Ctrl-C reaches the command.
limit() {
	timeout --foreground --kill-after=30 "$@"
}

# stage NAME COMMAND... - keeps the output in results/NAME.log and says how long it took.
stage() {
	local name=$1 start=$SECONDS status=0
	shift
	"$@" >"$results/$name.log" 2>&1 || status=$?
	[ "$status" -ne 124 ] || echo "$name was stopped at its time limit" >>"$results/$name.log"
	printf '%-20s %4d s  %s\n' "$name" $((SECONDS - start)) \
		"$([ "$status" -eq 0 ] && echo ok || echo "exit status $status")"
	return "$status"
}

# The stage as a whole is one failure, with its output.
stage_failed() {
	tail -n 200 "$results/$1.log" >"$results/$1.failed"
}

# A stage that is one test as a whole.
whole_stage() {
	if stage "$@"; then
		touch "$results/$1.passed"
	else
		stage_failed "$1"
	fi
}

# counted_stage NAME REPORT COMMAND... - a stage whose REPORT lists its tests. It is a failure of
# its own when it ran no test, or ended badly though no test in the report did.
counted_stage() {
	local name=$1 report=$2 status=0
	shift 2
	stage "$name" "$@" || status=$?
	if [ ! -s "$report" ]; then
		stage_failed "$name"
	elif [ "$status" -ne 0 ] && ! grep -qE \
		'"result": "(FAIL|ERROR|TIMEOUT|INTERRUPT|UNEXPECTEDPASS)"|<(failure|error)[ >]' "$report"; then
		stage_failed "$name"
	fi
}

configure_and_compile() {
	local build=$1
	shift
	if [ ! -f "$build/build.ninja" ]; then
		rm -rf "$build"
		meson setup "$build" "$top" -Dtests=enabled "$@" || return
	fi
	limit 1200 ninja -C "$build"
}

# run_meson SETUP ARGUMENT... - the log goes where the summary finds it; meson adds the name of the
# setup to the log's.
run_meson() {
	local setup=$1 status=0 logs
	shift
	[ "$setup" = plain ] || set -- --setup "$setup" "$@"
	logs=$builds/$setup/meson-logs
	rm -f "$logs"/tests*.json
	limit 900 "${runner[@]}" meson test -C "$builds/$setup" --no-rebuild --logbase tests \
		--num-processes "$side_by_side" "$@" ||
		status=$?
	cp "$logs"/tests*.json "$results/$setup-tests.json" || status=1
	return "$status"
}

# run_pytest SETUP ARGUMENT... - sanitizers write to files, because most processes of these tests
# are not the test's own children and nobody else would see what they report.
run_pytest() {
	local setup=$1 reports=$results/$1-integration.reports seconds=900
	shift
	mkdir -p "$reports"
	chmod 1777 "$reports" # processes of other users report here, too
	if [ -n "$long" ]; then
		set -- --long "$@"
		seconds=7200
	fi
	(
		cd "$top"
		export PYTHONDONTWRITEBYTECODE=1
		export VARVE_BIN=$builds/$setup/src/cli/varve VARVE_SETUP=$setup VARVE_LONG=$long
		export ASAN_OPTIONS=detect_leaks=1:log_path=$reports/asan
		export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1:log_path=$reports/ubsan
		export TSAN_OPTIONS=second_deadlock_stack=1:exitcode=66:log_path=$reports/tsan
		limit "$seconds" "${runner[@]}" /usr/bin/python3 -m pytest tests/integration \
			-p no:cacheprovider -q -n "$side_by_side" --junitxml="$results/$setup-integration.xml" "$@"
	)
}

# meson_tests SETUP SUITE... - those of the suites that --only leaves.
meson_tests() {
	local setup=$1 suite suites=()
	shift
	for suite in "$@"; do
		! wanted "${suite%-regress}" || suites+=(--suite "$suite")
	done
	[ ${#suites[@]} -eq 0 ] || counted_stage "$setup-tests" "$results/$setup-tests.json" \
		run_meson "$setup" "${suites[@]}"
}

integration_tests() {
	local setup=$1
	if ! wanted integration; then
		return
	elif [ ! -d "$top/tests/integration" ]; then
		echo "$setup-integration: there is no tests/integration yet"
		return
	fi
	counted_stage "$setup-integration" "$results/$setup-integration.xml" run_pytest "$@"
}

# build SETUP OPTION... - false when it cannot be built.
build() {
	local setup=$1
	shift
	if ! stage "$setup-build" configure_and_compile "$builds/$setup" "$@"; then
		stage_failed "$setup-build"
		return 1
	fi
}

rm -rf "$results"
mkdir -p "$results"
runner=()

if ! "$top/packaging/install-deps.sh" test; then
	echo "the packages that the tests need cannot be installed"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
fi

if build plain -Dwerror=true; then
	meson_tests plain unit lint fuzz-regress
	integration_tests plain
fi
if [ "$only" != lint ] && build asan -Db_sanitize=address,undefined -Db_lundef=false; then
	meson_tests asan unit fuzz-regress
	integration_tests asan
fi
# ThreadSanitizer of gcc 12 cannot place its shadow where the kernel randomizes addresses widely.
if [ "$only" != lint ] && [ "$only" != fuzz ] && build tsan -Db_sanitize=thread -Db_lundef=false; then
	! setarch -R true 2>/dev/null || runner=(setarch -R)
	meson_tests tsan unit
	integration_tests tsan -m concurrent
	runner=()
fi

if [ -n "$long" ]; then
	! wanted fuzz || whole_stage long-fuzz "$top/tests/fuzz/run-long.sh" 60
	if [ -z "$only" ] && [ -x "$top/tests/bench/run.sh" ]; then
		whole_stage long-bench env VARVE_BIN="$builds/plain/src/cli/varve" "$top/tests/bench/run.sh"
	fi
	# What a run needs to be repeated: tests that draw random numbers print "seed N".
	grep -ihsE 'seed[ =:]+[0-9]' "$results"/*.log || true
fi

echo "took $((SECONDS / 60)) min $((SECONDS % 60)) s, logs in $results"
exec /usr/bin/python3 -B "$top/tests/summarize.py" "$results"
