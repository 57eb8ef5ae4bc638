#!/bin/sh
# Name the packages that are missing and install them where that is allowed;
# else print the command to type and fail. Quiet if nothing is missing.
#
#	tests/deps.sh [build | test | lint | servers]
#
# The servers are those that automate-cgi is tested behind, and cron, by Debian's
# names only. Where they cannot be had those tests are skipped, so it does not fail;
# and none of them is started by being installed.
#
# Not asked for: node with npm, with which some tests compare us with others
# where they are, and clang for make fuzz.
set -u

want=${1:-test}
missing=
failure=1
[ "$want" = servers ] && failure=0

# need TEST apt dnf apk brew: the package of each manager, - for none.
need() {
	test_command=$1
	shift
	eval "$test_command" >/dev/null 2>&1 && return
	case $manager in
	apt-get) package=$1 ;;
	dnf) package=$2 ;;
	apk) package=$3 ;;
	brew) package=$4 ;;
	*) package=$1 ;;
	esac
	[ "$package" = - ] || missing="$missing $package"
}

manager=none
for candidate in apt-get dnf apk brew; do
	if command -v "$candidate" >/dev/null 2>&1; then
		manager=$candidate
		break
	fi
done

look_for_servers() {
	PATH=$PATH:/usr/sbin:/sbin
	need 'command -v lighttpd' lighttpd - - -
	need 'command -v apache2' apache2-bin - - -
	need 'command -v nginx' nginx-light - - -
	need 'command -v fcgiwrap' fcgiwrap - - -
	need 'busybox --list | grep -qx httpd' busybox - - -
	need 'command -v cron' cron - - -
}

look() {
	missing=
	if [ "$want" = servers ]; then
		look_for_servers
		return
	fi
	need 'command -v pkg-config' pkg-config pkgconf-pkg-config pkgconf pkg-config
	need 'pkg-config --exists sqlite3' libsqlite3-dev sqlite-devel sqlite-dev sqlite
	need 'pkg-config --exists jansson' libjansson-dev jansson-devel jansson-dev jansson
	need 'pkg-config --exists yaml-0.1' libyaml-dev libyaml-devel yaml-dev libyaml
	need 'pkg-config --exists libcurl' libcurl4-openssl-dev libcurl-devel curl-dev curl
	need 'pkg-config --exists nettle' nettle-dev nettle-devel nettle-dev nettle
	[ "$want" = build ] && return
	need 'command -v prove' perl perl-Test-Harness perl-utils perl
	need 'command -v sqlite3' sqlite3 sqlite sqlite sqlite
	need 'command -v curl' curl curl curl curl
	need 'test -d /usr/share/zoneinfo/Europe' tzdata tzdata tzdata -
	[ "$want" = test ] && return
	need 'command -v clang-format' clang-format clang-tools-extra clang-extra-tools clang-format
	need 'command -v cppcheck' cppcheck cppcheck cppcheck cppcheck
	need 'command -v shellcheck' shellcheck ShellCheck shellcheck shellcheck
	need 'command -v mandoc' mandoc mandoc mandoc mandoc
	need 'command -v strace' strace strace strace -
	need 'command -v valgrind' valgrind valgrind valgrind -
}

look
[ -n "$missing" ] || exit 0

case $manager in
apt-get) install="apt-get install -y --no-install-recommends$missing" ;;
dnf) install="dnf install -y$missing" ;;
apk) install="apk add$missing" ;;
brew) install="brew install$missing" ;;
*)
	echo "missing, by the names Debian gives them:$missing" >&2
	exit $failure ;;
esac

as=
if [ "$manager" != brew ] && [ "$(id -u)" != 0 ]; then
	if sudo -n true 2>/dev/null; then
		as=sudo
	else
		echo "missing:$missing" >&2
		echo "install them with: sudo $install" >&2
		exit $failure
	fi
fi

echo "missing:$missing"
echo "installing them: ${as:+$as }$install"
if [ "$manager" = apt-get ]; then
	DEBIAN_FRONTEND=noninteractive
	export DEBIAN_FRONTEND
	$as apt-get update -qq || echo 'going on with the package lists of old'
fi

# Debian's packages ask this whether to start what they bring.
policy=/usr/sbin/policy-rc.d
if [ "$want" = servers ] && ! [ -e $policy ]; then
	trap '$as rm -f $policy' EXIT
	trap 'exit 1' HUP INT TERM
	printf '#!/bin/sh\nexit 101\n' | $as tee $policy >/dev/null
	$as chmod 755 $policy
fi
# shellcheck disable=SC2086 # a command and its words
if ! $as $install >/dev/null; then
	echo "that failed; try: ${as:+$as }$install" >&2
	exit $failure
fi
# Nor are they to be started with the machine.
if [ "$want" = servers ] && [ -d /run/systemd/system ]; then
	for service in lighttpd nginx fcgiwrap.socket fcgiwrap.service; do
		case $missing in
		*"${service%.*}"*)
			$as systemctl disable -q $service 2>/dev/null ;;
		esac
	done
fi

look
if [ -n "$missing" ]; then
	echo "still missing:$missing" >&2
	exit $failure
fi
