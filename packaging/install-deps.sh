#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs with apt what building varve needs on Debian 12 (`build`), and also what its quickstart
# (`quickstart`) or its tests (`test`) need.
# Does not touch apt where everything is there already; uses sudo only when it is not root.
set -eu

build_packages=(
	g++
	gcc
	meson
	ninja-build
	pkg-config
	ca-certificates
	fuse3
	libcurl4-openssl-dev
	libdeflate-dev
	libevent-dev
	libfuse3-dev
	libjansson-dev
	liblmdb-dev
	libsimdjson-dev
	libssl-dev
	libtomlplusplus-dev
	libzstd-dev
	zlib1g-dev
)

quickstart_packages=(
	containerd
	docker-registry
	stargz-snapshotter
	umoci
)

test_packages=(
	# unit tests, lints, fuzzing
	ccache
	clang
	clang-format
	git
	libclang-rt-14-dev
	libcmocka-dev
	man-db
	pigz
	python3
	python3-pytest
	python3-pytest-xdist
	shellcheck
	universal-ctags
	# images, registries and mounts of the integration tests and of the benchmark
	acl
	apache2-utils
	attr
	buildah
	curl
	debootstrap
	e2fsprogs
	erofs-utils
	fio
	iproute2
	libarchive-tools
	lmdb-utils
	nginx-light
	openssl
	procps
	runc
	skopeo
	util-linux
)

usage() {
	echo "usage: packaging/install-deps.sh [build|quickstart|test]" >&2
	exit 2
}

# The packages among the arguments that are not installed, one per line. "not-installed" and
# "config-files" are statuses too: only the state counts, never that dpkg knows the name.
missing_packages() {
	local installed
	installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null |
		awk '$2 == "installed" { print $1 }' | sort -u)
	printf '%s\n' "$@" | sort -u | comm -23 - <(printf '%s\n' "$installed")
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		echo "install-deps: root is needed to run: $*" >&2
		echo "install-deps: run it as root, or install sudo" >&2
		return 1
	fi
}

install_packages() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}

# Debian starts a registry, a web server and a container runtime as soon as they are installed, on
# every address of the machine. The tests want the programs, not the services.
policy=/usr/sbin/policy-rc.d
keep_services_down() {
	[ ! -e "$policy" ] || return 0
	trap 'as_root rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' | as_root install -m 0755 /dev/stdin "$policy"
}

case ${1:-build} in
build) packages=("${build_packages[@]}") ;;
quickstart) packages=("${build_packages[@]}" "${quickstart_packages[@]}") ;;
test) packages=("${build_packages[@]}" "${quickstart_packages[@]}" "${test_packages[@]}") ;;
*) usage ;;
esac
[ $# -le 1 ] || usage

if ! command -v apt-get >/dev/null; then
	echo "install-deps: no apt-get here; install the counterparts of these Debian packages:" >&2
	printf '  %s\n' "${packages[@]}" >&2
	exit 1
fi

mapfile -t missing < <(missing_packages "${packages[@]}")
[ "${#missing[@]}" -gt 0 ] || exit 0

echo "install-deps: installing ${missing[*]}"
keep_services_down
# A fresh machine has no package lists, an old one has lists of versions that are gone.
if ! apt-cache show "${missing[@]}" >/dev/null 2>&1 || ! install_packages "${missing[@]}"; then
	as_root apt-get update -q
	install_packages "${missing[@]}"
fi
