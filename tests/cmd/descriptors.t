#!/bin/sh
# Standard descriptors that are closed, full, directories or the wrong way
# round; words and bytes that nobody meant to give; an empty environment.
. "$(dirname "$0")/../lib.sh"
URL=http://127.0.0.1:9 config
full() {
	[ -w /dev/full ] && { : >/dev/full; } 2>/dev/null
}
# organization ID: as a document in ./in.
organization() {
	printf '{"id":"%s","owner_email":"a@b.example"}\n' "$1" >in
}
kept() {
	sql "SELECT count(*) FROM organizations WHERE id = '$1'"
}

# Standard input.
for command in automate-onboard automate-alert; do
	$command --later >out 2>err <&-
	status=$?
	is_status 65 "$command: standard input is closed"
	like "$(cat err)" 'empty input' "$command: closed is empty"
	run $command --later </
	is_status 64 "$command: standard input is a directory"
	like "$(cat err)" 'cannot read the input: Is a directory' \
		"$command: and that is said"
	run $command --later 0>nothing
	is_status 64 "$command: standard input cannot be read"
	like "$(cat err)" 'cannot read the input: Bad file' \
		"$command: and that is said too"
done
automate-alert --later 'without a detail' >out 2>err <&-
status=$?
is_status 0 'an alert in words needs no standard input'
run automate-alert --later 'without a detail' </
is_status 0 'nor one that can be read'

# One document alone, of which the very bytes count.
run automate-stripe-event --later </
is_status 64 'automate-stripe-event: standard input is a directory'
automate-stripe-event --unsigned --later >out 2>err <&-
status=$?
is_status 65 'automate-stripe-event: standard input is closed'

# Standard output.
organization o1
automate-onboard --later <in >&- 2>err
status=$?
is_status 0 'standard output is closed: as if to nobody'
is "$(kept o1)" 1 'and the document is kept'
is "$(sqlite3 automate.db 'PRAGMA integrity_check')" ok \
	'the database is not written into as if it were output'
organization o2
(automate-onboard --later <in 2>err; echo $? >status) | :
is "$(kept o2)" 1 'the reader of the output is gone: it is kept'
if full; then
	organization o3
	automate-onboard --later <in >/dev/full 2>err
	status=$?
	is_status 75 'the output is full: not acknowledged'
	like "$(cat err)" 'recorded.*says duplicate' 'which is safe'
	run automate-onboard --later <in
	like "$(cat out)" '"outcome":"duplicate"' 'the same line again is'
	automate-alert --later x >/dev/full 2>err </dev/null
	status=$?
	is_status 75 'the same of an alert'
	for command in $(commands | grep -v -x automate-cgi); do
		$command --help >/dev/full 2>err
		status=$?
		is_status 75 "$command: the help does not fit"
		like "$(cat err)" 'cannot write the output' \
			"$command: and that is said"
	done
	for verb in list 'show 1' 'why o1'; do
		# shellcheck disable=SC2086 # two words
		automate-log $verb >/dev/full 2>err
		status=$?
		is_status 75 "automate-log $verb: the output does not fit"
	done
	automate-deliver list >/dev/full 2>err
	status=$?
	is_status 75 'automate-deliver list: the output does not fit'
else
	tap_pass 'a full output # SKIP no /dev/full'
fi

# Standard error.
organization o4
automate-onboard --later <in >out 2>&-
status=$?
is_status 0 'standard error is closed'
like "$(cat out)" '"recorded"' 'the result is what it was'
organization o5
automate-onboard <in >out 2>&-
status=$?
is_status 0 'also with a delivery that has nowhere to report'
automate-onboard --later <&- >&- 2>&-
status=$?
is_status 65 'all three are closed'

# Words and bytes.
long=$(head -c 100000 /dev/zero | tr '\0' x)
run automate-alert --later "$long" </dev/null
is_status 0 'an alert with a title of 100000 letters is an alert'
is "$(sql "SELECT count(*) FROM system_alerts WHERE title LIKE 'xxxxx%'")" 1 \
	'under that title'
run automate-alert --later -k long.message -m "$long" x </dev/null
is_status 0 'and so with such a message'
run automate-deliver show "$(sql "SELECT max(id) FROM deliveries WHERE alert_kind = 'long.message'")"
# shellcheck disable=SC2016 # sh -c expands it
ok 'what goes to Slack is short' sh -c 'grep -q xxxx out && [ "$(wc -c <out)" -lt 20000 ]'
for option in --organization --lead --id; do
	run automate-alert --later $option "$long" x </dev/null
	is_status 65 "an id of 100000 letters is none: $option"
	ok 'the message is a line' [ "$(wc -c <err)" -lt 1100 ]
done
for line in "automate-log why $long" "automate-deliver show $long" \
	"automate-deliver hold $long" "automate-log --kind $long"; do
	# shellcheck disable=SC2086 # words
	run $line </dev/null
	ok "no crash of ${line%% xxx*}" [ "$status" -lt 70 ]
done
run automate-alert --later -k bad.utf8 "$(printf 'a\377b \033[31m')" </dev/null
is_status 0 'an alert whose words are not UTF-8'
is "$(sql "SELECT hex(substr(title, 1, 3)) FROM system_alerts WHERE kind = 'bad.utf8'")" \
	61EFBFBD62 'is kept with U+FFFD in their place'
printf 'one\0two\377three' >in
run automate-alert --later -k nul 'NUL in the detail' <in
is "$(sql "SELECT hex(details) FROM system_alerts WHERE kind = 'nul'")" \
	6F6E652074776FEFBFBD7468726565 'what is behind a NUL byte is kept'
head -c 1000000 /dev/zero >in
run automate-alert --later -k much 'much detail' <in
is_status 0 'a detail of a megabyte'
ok 'is cut' [ "$(sql "SELECT length(details) FROM system_alerts WHERE kind = 'much'")" -le 16384 ]
# Documents.
printf '{"id":"n1","name":"a\\u0000b"}' >in
run automate-onboard --later <in
is_status 0 'an escaped NUL is a character like another'
printf '{"id":"n2"}\0' >in
run automate-onboard --later <in
is_status 65 'a NUL byte behind a document'
like "$(cat err)" 'column 12: NUL' 'is shown where it is'

# The environment.
organization e1
run env -i AUTOMATE_DATABASE="$DB" "$(command -v automate-onboard)" --later <in
is_status 0 'an empty environment but for the database'
organization e2
for home in '' relative "$SCRATCH/nowhere" "$SCRATCH/in"; do
	run env HOME="$home" automate-onboard --later <in
	is_status 0 "no home: \"$home\""
done
organization e3
run env -u HOME automate-onboard --later <in
is_status 0 'no HOME at all'
run env PATH= "$(command -v automate-onboard)" <in
is_status 0 'no PATH to find automate-deliver in: it is beside'
unlike "$(cat err)" 'cannot start' 'and was found'
done_testing
