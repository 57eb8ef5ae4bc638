#!/bin/sh
# tests/deps.sh with package managers that only pretend: it names what is
# missing, installs it where it may, and else prints the command to type.
. "$(dirname "$0")/../lib.sh"

sh=$(command -v sh)
mkdir bin
# What it is made of, and no more.
for tool in cat chmod sed sh; do
	ln -s "$(command -v $tool)" bin/$tool
done

# pretend NAME BODY: a command that is in PATH from now on.
pretend() {
	rm -f "bin/$1"
	printf '#!%s\n%s\n' "$sh" "$2" >"bin/$1"
	chmod 755 "bin/$1"
}
# deps WANT: with those commands alone; what it said is in ./out and ./err.
deps() {
	run env PATH="$SCRATCH/bin" PRETENDED="$SCRATCH" "$sh" "$TOP/tests/deps.sh" "$1"
}
# lacking LIBRARY...: what pkg-config does not know.
lacking() {
	pretend pkg-config "case \" $* \" in *\" \$2 \"*) exit 1 ;; esac; exit 0"
}
# manager NAME: the only one; it writes down its words, and all is there then.
manager() {
	rm -f bin/apt-get bin/dnf bin/apk bin/brew log
	# shellcheck disable=SC2016 # for the script
	pretend "$1" 'echo "$0 $*" | '"sed 's|.*/||'"' >>"$PRETENDED/log"
case "$*" in *update*) exit 0 ;; esac
printf "#!'"$sh"'\nexit 0\n" >"$PRETENDED/bin/pkg-config"
chmod 755 "$PRETENDED/bin/pkg-config"'
}
user() {
	pretend id "echo $1"
}

user 1000
pretend sudo 'exit 1'

lacking
deps build
is "$status$(cat out err)" 0 'nothing is missing: not a word'

lacking jansson yaml-0.1
for line in 'apt-get|libjansson-dev libyaml-dev|apt-get install -y --no-install-recommends' \
	'dnf|jansson-devel libyaml-devel|dnf install -y' \
	'apk|jansson-dev yaml-dev|apk add'; do
	name=${line%%|*} rest=${line#*|}
	manager "$name"
	deps build
	is "$status" 1 "$name, neither root nor sudo: it fails"
	is "$(head -1 err)" "missing: ${rest%|*}" "$name: names what is missing"
	is "$(tail -1 err)" "install them with: sudo ${rest#*|} ${rest%|*}" \
		"$name: and prints the command to type"
	ok "$name: which it does not run" test ! -e log
done

rm -f bin/apk
deps build
is "$status" 1 'no manager that it knows: it fails'
is "$(cat err)" 'missing, by the names Debian gives them: libjansson-dev libyaml-dev' \
	'and names them all the same'
rm bin/pkg-config
deps build
like "$(cat err)" 'missing,.*: pkg-config .*libsqlite3-dev .*libcurl4-openssl-dev .*nettle-dev' \
	'without pkg-config all is missing'

lacking jansson yaml-0.1
manager brew
deps build
is "$status" 0 'brew wants neither root nor sudo'
is "$(cat log)" 'brew install jansson libyaml' 'and is run'

lacking jansson yaml-0.1
manager apt-get
user 0
deps build
is "$status" 0 'root: it installs'
is "$(cat log)" "apt-get update -qq
apt-get install -y --no-install-recommends libjansson-dev libyaml-dev" \
	'what is missing, with fresh lists'
is "$(tail -1 out)" 'installing them: apt-get install -y --no-install-recommends libjansson-dev libyaml-dev' \
	'after saying so'

lacking jansson yaml-0.1
manager dnf
user 1000
# shellcheck disable=SC2016 # for the script
pretend sudo '[ "$1" = -n ] && shift; [ "$1" = true ] && exit 0; exec "$@"'
deps build
is "$status" 0 'sudo without a password: it installs'
is "$(tail -1 out)" 'installing them: sudo dnf install -y jansson-devel libyaml-devel' \
	'after saying how'

lacking jansson yaml-0.1
pretend dnf 'exit 100'
deps build
is "$status" 1 'the manager fails: so does it'
like "$(cat err)" 'that failed; try: sudo dnf install' 'with the command'
pretend dnf 'exit 0'
deps build
is "$status" 1 'it says yes and does nothing: not believed'
like "$(cat err)" 'still missing: jansson-devel libyaml-devel' 'that is said'

lacking
manager apk
pretend sudo 'exit 1'
deps test
is "$status" 1 'the tests need more'
like "$(cat err)" 'missing:.* perl-utils sqlite curl' 'which is named'
deps lint
like "$(cat err)" 'missing:.* shellcheck mandoc' 'and linting more still'

# Servers, without which there are tests to skip, and no failure.
lacking
manager apt-get
for name in lighttpd apache2 nginx fcgiwrap cron; do
	pretend $name :
done
pretend grep 'cat >/dev/null'
pretend busybox 'echo httpd'
deps servers
is "$status$(cat out err)" 0 'all servers are there: not a word'
pretend busybox 'exit 1'
pretend grep 'exit 1'
deps servers
is "$status" 0 'a server is missing: that is no failure'
like "$(cat err)" 'install them with: sudo apt-get .* busybox$' \
	'but it says how to get it'
ok 'and does not' test ! -e log
rm bin/grep bin/busybox
manager apk
deps servers
is "$status$(cat out err)" 0 'where it does not know their names it says nothing'
for name in lighttpd apache2 nginx fcgiwrap cron; do
	rm bin/$name
done

# The same through make, which says no more than that.
make=$(command -v gmake || command -v make) || make=
lacking jansson yaml-0.1
manager apt-get
if [ -n "$make" ]; then
	for tool in mkdir mv dirname find rm cc sort; do
		[ -e bin/$tool ] || ln -s "$(command -v $tool)" bin/$tool
	done
	unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
	run env PATH="$SCRATCH/bin" PRETENDED="$SCRATCH" "$make" -s -C "$TOP" \
		BUILD="$SCRATCH/build" all
	ok 'make fails' [ "$status" != 0 ]
	like "$(cat err)" 'install them with: sudo apt-get install -y --no-install-recommends libjansson-dev libyaml-dev' \
		'with the command to type'
	ok 'before it compiles anything' sh -c '! find build -name "*.o" | grep .'
fi
done_testing
