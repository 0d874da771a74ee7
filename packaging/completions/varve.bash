# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Completion for varve(1). Needs nothing but bash.

# The options of a verb; those that need a value end with '='.
_varve_options() {
	case $1 in
	mount)
		echo --detach --layer= --platform= --store= --quota= --rw --face= --suid --dev \
			--allow-other --prefetch= --no-background --background-limit= --pull= \
			--trust-indexes= --soci-v1 \
			--hosts-dir= --plain-http --username= --password-stdin --allow-unverified \
			--read-timeout= --memory-limit= --verbose --quiet --json --help
		;;
	umount) echo --lazy --quiet --json --help ;;
	status | images | "cache ls") echo --store= --json --help ;;
	why) echo --all --json --help ;;
	"index "*)
		case $1 in
		"index create") echo --output= --layer= ;;
		"index verify") echo --image= --layer= ;;
		"index show" | "index pull") echo --layer= ;;
		esac
		echo --platform= --store= --hosts-dir= --plain-http --username= --password-stdin \
			--verbose --quiet --json --help
		;;
	"cache verify") echo --repair --store= --quiet --json --help ;;
	esac
}

# Words of $1, separated by newlines, that begin with $cur.
_varve_reply() {
	local IFS=$'\n'
	mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
}

# Files, or with -d directories, that begin with $cur.
_varve_files() {
	compopt -o filenames 2>/dev/null
	mapfile -t COMPREPLY < <(compgen "$1" -- "$cur")
}

# Completes the value of option $1; fails for options without one.
_varve_value() {
	case $1 in
	--face) _varve_reply $'auto\nerofs\nfuse' ;;
	--prefetch) _varve_reply $'auto\non\noff' ;;
	--trust-indexes) _varve_reply $'repository\nnone' ;;
	--pull) _varve_reply $'always\nmissing\nnever' ;;
	--store | --hosts-dir) _varve_files -d ;;
	--output) _varve_files -f ;;
	--image) _varve_image ;;
	--layer | --platform | --quota | --background-limit | --username | --read-timeout | \
		--memory-limit) ;;
	*) return 1 ;;
	esac
}

# Where something like our mounts is mounted.
_varve_mounts() {
	local dir rest
	while read -r _ _ _ _ dir rest; do
		case " $rest" in
		*" - fuse.varve "* | *" - erofs "* | *" - overlay "*) printf '%b\n' "${dir//\\/\\0}" ;;
		esac
	done </proc/self/mountinfo
}

# Images that were mounted from the usual store, as far as this user may ask.
_varve_images() {
	varve images --json 2>/dev/null | sed -n 's/^ *"reference": "\(.*\)",$/\1/p'
}

# The verb, and how many operands stand before the cursor.
_varve_words() {
	local i word
	verb="" operands=0
	for ((i = 1; i < ${#words[@]} - 1; i++)); do
		word=${words[i]}
		if [[ $word == -* ]]; then
			continue
		elif [[ -z $verb || $verb == cache || $verb == index ]]; then
			verb=${verb:+$verb }$word
		elif ! (_varve_value "${words[i - 1]}" >/dev/null 2>&1); then
			((operands += 1))
		fi
	done
}

# The paths of images in files; known images and what they can begin with.
_varve_image() {
	local place=${cur%%:*} cur=$cur
	case $place in
	oci | oci-archive | docker-archive | containerd)
		if [[ $cur == "$place":*[:@]* ]]; then
			_varve_reply "$(_varve_images)"
			return
		elif [[ $cur == "$place":* ]]; then
			cur=${cur#*:}
			if [[ $place == *-archive ]]; then _varve_files -f; else _varve_files -d; fi
			COMPREPLY=("${COMPREPLY[@]/#/$place:}")
			compopt -o nospace 2>/dev/null
			return
		fi
		;;
	esac
	_varve_reply "$(_varve_images)"$'\noci:\noci-archive:\ndocker-archive:\ncontainerd:'
	[[ ${COMPREPLY[0]-} != *: ]] || compopt -o nospace 2>/dev/null
}

_varve_operand() {
	case $verb in
	mount)
		if [ "$operands" -eq 0 ]; then
			_varve_image
		else
			_varve_files -d
		fi
		;;
	"index show" | "index verify")
		_varve_image
		[ -n "${COMPREPLY[0]-}" ] || _varve_files -f
		;;
	"index "*) _varve_image ;;
	umount | status)
		compopt -o filenames 2>/dev/null
		_varve_reply "$(_varve_mounts)"
		;;
	why) _varve_files -f ;;
	esac
}

# bash replaces only what follows the last of its word breaks (= and : among them): what stands
# before that must not be repeated.
_varve_strip() {
	local word=${COMP_WORDS[COMP_CWORD]}
	[[ $word != [=:] ]] || word=""
	local kept=${cur%"$word"}
	COMPREPLY=("${COMPREPLY[@]#"$kept"}")
}

_varve() {
	local line=${COMP_LINE:0:COMP_POINT} words cur verb operands option
	COMPREPLY=()
	read -ra words <<<"$line"
	[[ $line != *[[:space:]] ]] || words+=("")
	cur=${words[-1]}
	option=${words[-2]-}
	_varve_words
	if [[ $cur == --*=* ]]; then
		option=${cur%%=*}
		cur=${cur#*=}
	fi

	case $verb in
	"") _varve_reply $'mount\numount\nstatus\nwhy\nimages\nindex\ncache\nhelp\n--version\n--help' ;;
	cache) _varve_reply $'ls\nverify' ;;
	index) _varve_reply $'create\nshow\npush\npull\nverify' ;;
	help) _varve_reply $'mount\numount\nstatus\nwhy\nimages\nindex\ncache' ;;
	*)
		if _varve_value "$option"; then
			:
		elif [[ $cur == -* ]]; then
			_varve_reply "$(_varve_options "$verb" | tr ' ' '\n')"
			[[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace 2>/dev/null
		else
			_varve_operand
		fi
		;;
	esac
	_varve_strip
}

complete -F _varve varve
