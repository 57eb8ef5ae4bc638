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
for file in bin/automate-onboard bin/automate-deliver \
	share/man/man1/automate-onboard.1 share/man/man5/automate.yaml.5 \
	share/man/man7/automate.7 share/automate/automate.yaml \
	share/bash-completion/completions/automate-onboard; do
	ok "$file is there" test -f "stage/usr/$file"
done
run stage/usr/bin/automate-onboard --version
is_status 0 'an installed command runs'
is "$(find stage/usr/bin -type f ! -perm 755)" '' 'commands may be run by all'
is "$(find stage/usr/share -type f ! -perm 644)" '' 'the rest may be read by all'

if command -v ldd >/dev/null; then
	libraries=$(ldd stage/usr/bin/automate-deliver)
	like "$libraries" libcurl 'automate-deliver speaks HTTP'
	for command in automate-onboard automate-alert; do
		libraries=$(ldd "stage/usr/bin/$command")
		like "$libraries" libsqlite3 "$command loads SQLite"
		unlike "$libraries" libcurl "$command does not load libcurl"
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
