#!/bin/sh
# --dry-run takes the same path, says the same, and keeps and sends nothing.
. "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2119 # no options
start_httpd
config
printf '%s\n' '{"id":"o1","owner_email":"a@b.example"}' >in

run automate-onboard -n <in
is_status 0 'an onboarding, rehearsed'
like "$(cat out)" '"outcome":"recorded"' 'says what would be'
run automate-deliver -n
is_status 0 'and so does a delivery run'
is "$(find . -name 'automate.db*')" '' 'neither makes a database'

automate-onboard --later <in >out 2>&1
automate-alert --later -s critical -k fire 'on fire' </dev/null >out 2>&1
dump() {
	sqlite3 -readonly "$DB" .dump
}
dump >before

# rehearse PATTERN COMMAND...: 0, says that, changes nothing.
rehearse() {
	rehearse_pattern=$1
	shift
	run "$@" </dev/null
	is_status 0 "$*"
	like "$(cat out err)" "$rehearse_pattern" "$*: says the same"
	dump >after
	ok "$*: changes nothing" cmp before after
}

rehearse 'queued +mail' automate-deliver -n
rehearse '' automate-deliver -n retry 1
rehearse '' automate-deliver -n cancel 1
rehearse '' automate-deliver -n hold mail
rehearse '' automate-deliver -n release mail
rehearse purged automate-deliver -n purge --older 0s
rehearse '' automate-log -n ack 1
rehearse '' automate-log -n resolve 1
rehearse '"recorded"' automate-alert -n -k fire 'on fire still'
rehearse '"resolved"' automate-alert -n --resolve fire
is "$(wc -l <requests)" 0 'and nothing was sent'

run automate-deliver -n retry 99
is_status 65 'what would fail fails'

# A database of an earlier version is not brought up to date in passing.
sqlite3 automate.db 'PRAGMA user_version = 0; PRAGMA wal_checkpoint(TRUNCATE)' >out
cksum <automate.db >before
run automate-onboard -n <in
is_status 78 'an earlier version cannot rehearse'
like "$(cat err)" 'automate.db: schema 0, .*run any command that writes once' \
	'and says what to do'
cksum <automate.db >after
ok 'it is left as it was' cmp before after
done_testing
