#!/bin/sh
# make install puts things where they belong, uninstall takes away just those,
# and the tarball of make dist builds without git.
. "$(dirname "$0")/../lib.sh"

make=$(command -v gmake || command -v make) || skip_all 'no make'
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES

installed() {
	find stage ! -type d | sed 's|^stage/usr/||' | sort
}

run "$make" -s -C "$TOP" BUILD="$BUILD" SAN="${SAN:-}" PREFIX=/usr \
	DESTDIR="$SCRATCH/stage" install
is_status 0 'make install' || done_testing
commands=$(commands)
pages=$(cd "$TOP/man" && echo ./*.[1-8])
# What is in etc/ is an example, but for the completion.
{
	for name in $commands; do
		echo "bin/$name"
		echo "share/bash-completion/completions/$name"
	done
	for name in $pages; do
		echo "share/man/man${name##*.}/${name#./}"
	done
	(cd "$TOP/etc" && find . -type f ! -name automate.bash) |
		sed 's|^\.|share/automate|'
} | sort >wanted
is "$(installed)" "$(cat wanted)" 'all of it is there, and nothing else'
is "$(find stage/usr/bin -type f ! -perm 755)" '' 'commands may be run by all'
is "$(find stage/usr/share -type f ! -perm 644)" stage/usr/share/automate/nightly \
	'the rest may be read by all, and one run'
is "$(grep -rl /usr/local/bin stage/usr/share/automate)" '' \
	'examples name the commands where they are'
like "$(cat stage/usr/share/automate/crontab)" ' /usr/bin/automate-deliver -q' \
	'such as the crontab'
for name in $commands; do
	run "stage/usr/bin/$name" --version
	is "$status $(sed 's/ [0-9.]*$//' out)" "0 $name" "$name runs"
	ok "$name has a page" test -f "stage/usr/share/man/man1/$name.1"
done

if command -v ldd >/dev/null; then
	libraries=$(ldd stage/usr/bin/automate-deliver)
	like "$libraries" libcurl 'automate-deliver speaks HTTP'
	for name in $commands; do
		case $name in
		automate-deliver | automate-call | automate-dunning | \
			automate-reconcile | automate-check)
			continue ;;
		esac
		libraries=$(ldd "stage/usr/bin/$name")
		unlike "$libraries" libcurl "$name does not load libcurl"
	done
	for name in automate-onboard automate-alert automate-log; do
		libraries=$(ldd "stage/usr/bin/$name")
		unlike "$libraries" libnettle "$name does not load nettle"
	done
fi

# complete WORD...: what bash would complete the last one to.
# shellcheck disable=SC2016 # for bash
completed() {
	bash -c '. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _automate
		printf "%s\n" "${COMPREPLY[*]}"' \
		stage/usr/share/bash-completion/completions/automate-deliver "$@"
}
if command -v bash >/dev/null; then
	is "$(completed automate-deliver re)" 'retry release' 'a verb is completed'
	is "$(completed automate-log --js)" '--json' 'an option is completed'
	for name in $commands; do
		like "$(bash -c ". stage/usr/share/bash-completion/completions/$name; complete -p $name" 2>&1)" \
			'-F _automate' "$name is completed"
	done
fi

echo mine >stage/usr/share/automate/crontab.mine
run "$make" -s -C "$TOP" BUILD="$BUILD" PREFIX=/usr DESTDIR="$SCRATCH/stage" \
	uninstall
is_status 0 'make uninstall'
is "$(installed)" share/automate/crontab.mine \
	'nothing of ours is left, and what is not ours is'

mkdir once twice
run "$make" -s -C "$TOP" DISTDIR="$SCRATCH/once" dist
is_status 0 'make dist'
tree=$(basename once/*.tar.gz .tar.gz)
tar -xzf "once/$tree.tar.gz"
ok 'the tarball has one folder, named as itself' test -d "$tree" ||
	done_testing
run "$make" -s -C "$tree" DISTDIR="$SCRATCH/twice" dist
is "$(tar -tzf "twice/$tree.tar.gz" | grep -v '/$' | sort)" \
	"$(tar -tzf "once/$tree.tar.gz" | grep -v '/$' | sort)" \
	'without git it is the same tarball'
run "$make" -s -C "$tree" CFLAGS=-O0 BUILD=build SAN= all
is_status 0 'it builds'
run "$tree/build/automate-onboard" --version
like "$(cat out)" "^automate-onboard ${tree#automate-}\$" \
	'and is the version that the tarball says'
done_testing
