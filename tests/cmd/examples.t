#!/bin/sh
# Every example of every manual, pasted and run as it stands, in order, in a
# scratch home with a configuration, a receiver, a customer and an alert.
#
# An example is a literal display (.Bd -literal) or a run of .Dl lines in a
# section EXAMPLES. It is one of
#
#	commands	which end with 0; standard input is one line, a URL,
#			as if pasted
#	lines of a crontab	whose commands end with 0
#	YAML		a configuration that loads
#	JSON		which is valid
#
# What cannot be run here is to be written so that it can.
. "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2119 # no options
start_httpd

# examples PAGE: into files example.1 ..., with the escapes of roff undone.
examples() {
	rm -f example.*
	awk '
	/^\.Sh / { inside = $0 ~ /EXAMPLES/; next }
	!inside { next }
	/^\.Bd .*-literal/ { n++; display = 1; next }
	/^\.Ed/ { display = 0; next }
	/^\.Dl / && !display { if (!dl) n++; dl = 1; sub(/^\.Dl /, "")
		print >("example." n); next }
	{ dl = 0 }
	display { print >("example." n) }
	' "$1"
	for example in example.*; do
		[ -f "$example" ] || continue
		sed 's/\\&//g;s/\\-/-/g;s/\\(aq/'"'"'/g;s/\\(dq/"/g;s/\\(ti/~/g;s/\\e/\\/g' \
			"$example" >new
		mv new "$example"
	done
}
is_yaml() {
	grep -Eq '^[a-z_]+:$' "$1"
}
is_json() {
	[ "$(head -c 1 "$1")" = '{' ]
}
is_crontab() {
	! grep -Ev '^(@[a-z]+|([0-9*,/-]+[[:blank:]]+){4}[0-9*,/-]+)[[:blank:]]' "$1" >why
}
# try FILE: what an example is for.
try() {
	if grep -q '^\.' "$1"; then
		echo 'a display of commands has no macros' >err
		status=1
	elif is_yaml "$1"; then
		# Whose database by default would be the machine's.
		grep -q '^database:' "$1" ||
			printf 'database:\n  path: %s\n' "$DB" | cat "$1" - >loaded
		[ -f loaded ] || cp "$1" loaded
		run automate-deliver -c loaded list
		rm loaded
	elif is_json "$1"; then
		run sqlite3 :memory: "SELECT json_extract(readfile('$1'), '$')"
	elif is_crontab "$1"; then
		sed -E 's/^(@[a-z]+|([^[:blank:]]+[[:blank:]]+){4}[^[:blank:]]+)[[:blank:]]+//' \
			"$1" >commands
		run timeout 60 sh -eu commands </dev/null
	else
		echo 'https://hook.example.com/pasted' >pasted
		run timeout 60 sh -eu "$1" <pasted
	fi
}

found=0
for page in "$TOP"/man/*.[1-8]; do
	name=$(basename "$page")
	mkdir "$SCRATCH/$name"
	cd "$SCRATCH/$name" || exit 1
	HOME=$PWD DB=$PWD/automate.db
	mkdir -p .config/automate
	config
	mv automate.yaml .config/automate
	unset AUTOMATE_CONFIG AUTOMATE_DATABASE
	echo '{"id":"org_demo","name":"Demo","owner_email":"demo@example.com"}' |
		automate-onboard >out 2>err || tap_fail "$name: a customer"
	automate-alert -s error 'something to look at' >out 2>err </dev/null ||
		tap_fail "$name: an alert"
	examples "$page"
	n=0
	while n=$((n + 1)); [ -f example.$n ]; do
		try example.$n
		cp example.$n why
		found=$((found + 1))
		if [ $status = 0 ]; then
			tap_pass "$name: example $n"
		else
			tap_fail "$name: example $n"
		fi
	done
done
ok 'there are examples' [ $found -gt 5 ]
done_testing
