# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Where Debian's packages come from: the machine's own apt sources, in either of their two formats,
# with their options and keys, or the mirror that ARMATURE_DEBIAN_MIRROR names. No mirror is written
# down anywhere else. To be sourced after common.sh.
#
#   ARMATURE_DEBIAN_MIRROR="URI [RELEASE]"   for machines whose sources name no Debian mirror (or
#                                            none with arm64, as Ubuntu's); RELEASE is "stable" if
#                                            it is not given

# What to say where there is none.
no_mirror="apt's sources (/etc/apt) name no mirror of Debian, whose arm64 packages are needed;"
no_mirror+=' name one: ARMATURE_DEBIAN_MIRROR="URI [RELEASE]"'

# The same of a mirror that has other architectures only.
no_arm64()
{
	local uris
	uris=$(debian_sources "$1" | cut -d '|' -f 2 | sort -u | tr '\n' ' ')
	echo "${uris% } has no arm64 packages of $1; name a mirror of Debian that has them:" \
		'ARMATURE_DEBIAN_MIRROR="URI [RELEASE]"'
}

# The keys of a mirror that no source of the system vouches for.
debian_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# The code name of the Debian release whose packages the guests are made of.
debian_release()
{
	case ${ARMATURE_DEBIAN_MIRROR:-} in
	"") own_release ;;
	*" "*) echo "${ARMATURE_DEBIAN_MIRROR##* }" ;;
	*) echo stable ;;
	esac
}

# That of this machine.
own_release()
{
	# shellcheck source=/dev/null
	(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
}

# debian_sources RELEASE: what apt is to read for a release, a line each: OPTIONS|URI|SUITE. The
# system's entries for its own release, its updates, security and backports, with RELEASE in their
# place; nothing if there are none.
debian_sources()
{
	local release=$1 own options uri name kind
	if [ -n "${ARMATURE_DEBIAN_MIRROR:-}" ]; then
		[ -e "$debian_keyring" ] || die "$debian_keyring is missing, with whose keys" \
			"ARMATURE_DEBIAN_MIRROR is checked (package debian-archive-keyring)"
		echo "signed-by=$debian_keyring|${ARMATURE_DEBIAN_MIRROR%% *}|$release"
		return
	fi
	own=$(own_release)
	while IFS='|' read -r options uri name; do
		case $name in
		"$own" | stable) kind= ;;
		"$own"-* | stable-*) kind=-${name#*-} ;;
		*) continue ;;
		esac
		case $kind in
		"" | -updates | -security | -backports) ;;
		*) continue ;;
		esac
		# A third party's repository may use Debian's suite names, but not Debian's keys.
		case $options in
		*signed-by=*debian-archive* | *trusted=yes*) ;;
		*signed-by=*) continue ;;
		esac
		options=$(sed -E 's/(^|[ ,])arch[+-]?=[^ ]*//' <<<"$options")
		printf '%s|%s|%s\n' "$options" "$uri" "$release$kind"
	done < <(apt_entries) | sort -u
}

# The entries of the system's sources with the component main, each as one line: OPTIONS|URI|SUITE
# Where they are, apt says, unless it is not there.
apt_entries()
{
	local f list="" parts=""
	eval "$(apt-config shell list Dir::Etc::sourcelist/f parts Dir::Etc::sourceparts/d)"
	for f in "$list" "$parts"*.list; do
		[ -f "$f" ] && one_line_entries "$f"
	done
	for f in "$parts"*.sources; do
		[ -f "$f" ] && deb822_entries "$f"
	done
	return 0
}

# deb [option=value ...] URI suite component...
one_line_entries()
{
	sed -e 's/#.*//' "$1" | awk '$1 == "deb" {
		sub(/^[ \t]*deb[ \t]+/, "")
		options = ""
		if (match($0, /^\[[^]]*\][ \t]+/)) {
			options = substr($0, 2, RLENGTH - 1)
			sub(/\].*/, "", options)
			$0 = substr($0, RLENGTH + 1)
		}
		for (i = 3; i <= NF; i++)
			if ($i == "main")
				print options "|" $1 "|" $2
	}'
}

# Stanzas of "Field: value" lines, continued by lines that start with a space.
deb822_entries()
{
	awk 'function flush(   n, m, i, j, u, s, o) {
		if (f["types"] ~ /(^| )deb( |$)/ && f["components"] ~ /(^| )main( |$)/ &&
		    f["enabled"] !~ /^ *(no|false|0|off)/) {
			o = ""
			# A key in the stanza itself spans lines, which the one-line format cannot.
			if (f["signed-by"] ~ /^ *\//) {
				gsub(/^ +| +$/, "", f["signed-by"])
				gsub(/ +/, ",", f["signed-by"])
				o = "signed-by=" f["signed-by"]
			}
			n = split(f["uris"], u, " ")
			m = split(f["suites"], s, " ")
			for (i = 1; i <= n; i++)
				for (j = 1; j <= m; j++)
					print o "|" u[i] "|" s[j]
		}
		delete f
	}
	/^#/ { next }
	/^[ \t]*$/ { flush(); next }
	/^[ \t]/ { f[key] = f[key] " " $0; next }
	{
		key = tolower($0)
		sub(/:.*/, "", key)
		value = $0
		sub(/^[^:]*:/, "", value)
		f[key] = value
	}
	END { flush() }' "$1"
}
