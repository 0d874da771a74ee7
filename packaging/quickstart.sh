#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: packaging/quickstart.sh [IMAGE [OPTION...]]
# Installs what is needed, builds varve, mounts an image and reads from it. Without IMAGE a registry
# on loopback gets a small image made of this machine's own packages, and everything is taken away
# at the end. With IMAGE (and options of `varve mount`) that one is mounted until Ctrl-C.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
build=$top/build-quickstart
varve=$build/src/cli/varve
work=
servers=() # process ids, ended in reverse
as_root=() # no function: $! would be a shell's
[ "$(id -u)" -eq 0 ] || as_root=(sudo)

say() {
	if [ -t 1 ]; then
		printf '\n\033[1m== %s\033[0m\n' "$*"
	else
		printf '\n== %s\n' "$*"
	fi
}

# Each step may find that its thing was never made, and none may keep the next from its turn.
clean_up() {
	local status=$? i
	trap - EXIT
	trap '' INT TERM
	set +e
	if [ -n "$work" ]; then
		if mountpoint -q "$work/mnt"; then
			"$varve" umount "$work/mnt" || "$varve" umount --lazy "$work/mnt"
		fi
		for ((i = ${#servers[@]} - 1; i >= 0; i--)); do
			end_server "${servers[i]}"
		done
		[ "$status" -eq 0 ] || [ "$status" -gt 128 ] || show_logs
		"${as_root[@]}" rm -rf --one-file-system "$work"
	fi
	exit "$status"
}

end_server() {
	"${as_root[@]}" kill "$1" 2>/dev/null
	for ((n = 0; n < 100; n++)); do
		"${as_root[@]}" kill -0 "$1" 2>/dev/null || return
		sleep 0.1
	done
	"${as_root[@]}" kill -KILL "$1"
}

show_logs() {
	local log
	for log in "$work"/*.log; do
		[ ! -s "$log" ] || { echo "---- ${log##*/}"; tail -n 20 "$log"; } >&2
	done
}

# wait_for WHAT COMMAND... - until it succeeds.
wait_for() {
	local what=$1 n
	shift
	for ((n = 0; n < 300; n++)); do
		! "$@" >/dev/null 2>&1 || return 0
		sleep 0.1
	done
	echo "quickstart: waited 30 s for $what" >&2
	return 1
}

compile() {
	[ -f "$build/build.ninja" ] ||
		meson setup "$build" "$top" --buildtype=release -Dtests=disabled
	ninja -C "$build"
}

# Files of the packages, and the libraries that their programs need, below $work/rootfs.
make_root_file_system() {
	local root=$work/rootfs file
	mkdir -p "$root/etc" "$root/tmp"
	dpkg -L bash coreutils | while read -r file; do
		if [ -f "$file" ] || [ -L "$file" ]; then
			cp -a --parents "$file" "$root" 2>/dev/null || true # not for this user to read
		fi
	done
	ldd /bin/bash /bin/ls /usr/bin/sort /usr/bin/sha256sum | grep -o '/[^ :)]*' | sort -u |
		while read -r file; do
			cp -L --parents "$file" "$root"
		done
	echo "made by varve's quickstart" >"$root/etc/motd"
	chmod -R u=rwX,go=rX "$root"
	tar -C "$root" --sort=name --owner=0 --group=0 --numeric-owner -cf "$work/layer.tar" .
}

start_registry() {
	cat >"$work/registry.yml" <<-END
		version: 0.1
		log: {level: info, accesslog: {disabled: false}}
		storage: {filesystem: {rootdirectory: $work/registry}}
		http: {addr: "127.0.0.1:0"}
	END
	docker-registry serve "$work/registry.yml" >"$work/registry.log" 2>&1 &
	servers+=($!)
	wait_for "the registry" grep -q 'listening on' "$work/registry.log"
	host=$(grep -om 1 'listening on [0-9.:]*' "$work/registry.log")
	host=${host##* }
}

# stargz-snapshotter's converter works inside a containerd: one of our own.
start_containerd() {
	cat >"$work/containerd.toml" <<-END
		version = 2
		root = "$work/containerd/root"
		state = "$work/containerd/state"
		[grpc]
		address = "$work/containerd.sock"
	END
	"${as_root[@]}" containerd -c "$work/containerd.toml" >"$work/containerd.log" 2>&1 &
	servers+=($!)
	wait_for "containerd" ctr_remote version
}

ctr_remote() {
	"${as_root[@]}" ctr-remote -a "$work/containerd.sock" "$@"
}

make_image() {
	local layout=$work/oci
	umoci init --layout "$layout"
	umoci new --image "$layout:quickstart"
	umoci raw add-layer --image "$layout:quickstart" "$work/layer.tar"
	umoci config --image "$layout:quickstart" --config.cmd /bin/bash
	tar -C "$layout" -cf "$work/image.tar" .
	ctr_remote image import --base-name localhost/quickstart --no-unpack "$work/image.tar"
	ctr_remote image convert --estargz --oci localhost/quickstart:quickstart "$1"
	ctr_remote image push --plain-http "$1"
}

# Bytes of blobs that the registry sent since its log had this many lines.
sent_since() {
	tail -n "+$(($1 + 1))" "$work/registry.log" |
		awk -F '"' '/"GET [^ ]*\/blobs\/sha256:/ { split($3, f, " "); sum += f[2] }
			END { printf "%d\n", sum }'
}

kib() {
	echo "$((($1 + 1023) / 1024)) KiB"
}

read_from_image() {
	local file read_bytes=0
	for file in etc/motd usr/bin/sha256sum usr/bin/sort; do
		sha256sum "$work/mnt/$file"
		cmp "$work/mnt/$file" "$work/rootfs/$file"
		read_bytes=$((read_bytes + $(stat -c %s "$work/mnt/$file")))
	done
	echo "the same as on this machine"
	say "What was read, and what was fetched"
	echo "the image has        $(kib "$(du -sb "$work/rootfs" | cut -f 1)") of files"
	echo "read were            $(kib "$read_bytes")"
	echo "the registry sent    $(kib "$(sent_since "$1")")"
	"$varve" status --store "$work/store"
}

demonstrate() {
	local reference lines
	say "A registry on loopback, and an image of bash and coreutils"
	start_registry
	start_containerd
	make_root_file_system
	reference=$host/quickstart:latest
	make_image "$reference" >"$work/image.log" 2>&1

	say "varve mount $reference $work/mnt"
	lines=$(wc -l <"$work/registry.log")
	"$varve" mount --plain-http --store "$work/store" --no-background --prefetch=off --detach \
		"$reference" "$work/mnt"
	echo "the index of the image: $(kib "$(sent_since "$lines")")"

	say "Names need no bytes of the image"
	echo "$(find "$work/mnt" | wc -l) names, among them"
	ls -ld "$work/mnt"/usr/bin/sha*sum

	say "Files do"
	read_from_image "$lines"
	"$varve" umount "$work/mnt"
	say "Done; this machine is as it was, but for $build and installed packages"
}

mount_image() {
	say "varve mount $*"
	echo "Ctrl-C ends it. Look at: $work/mnt"
	"$varve" mount --store "$work/store" "${@:2}" "$1" "$work/mnt" &
	servers+=($!)
	wait "$!"
}

case ${1:-} in
-*)
	echo "usage: packaging/quickstart.sh [IMAGE [OPTION...]]" >&2
	exit 2
	;;
esac

say "Packages"
"$top/packaging/install-deps.sh" "$([ $# -gt 0 ] && echo build || echo quickstart)"
say "Build"
compile
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
work=$(mktemp -d "${TMPDIR:-/tmp}/varve-quickstart.XXXXXX")
mkdir "$work/mnt"
if [ $# -gt 0 ]; then
	mount_image "$@"
else
	demonstrate
fi
