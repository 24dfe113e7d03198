# shellcheck shell=bash
# What the scripts share: where things are, and how they speak. To be sourced by bash.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034
cache=${ARMATURE_CACHE:-$top/.cache}
# sbin holds mke2fs and ldconfig, and is not in an ordinary user's path.
PATH=$PATH:/usr/sbin:/sbin

# One line of progress, on standard error, so that standard output stays a result.
say()
{
	printf '\033[1m%s\033[0m %s\n' "==>" "$*" >&2
}

# What went wrong and what would be right; ends the script.
die()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# quietly LOG COMMAND...: run a command whose output matters only if it fails.
quietly()
{
	local log=$1
	shift
	mkdir -p "$(dirname "$log")"
	if ! "$@" >"$log" 2>&1; then
		tail -n 20 "$log" >&2
		die "this failed: $* (all of its output: $log)"
	fi
}
