#!/bin/sh
# Slips of the hand: options that do not go together, words that are none.
. "$(dirname "$0")/../lib.sh"
URL=http://127.0.0.1:9 config
automate-onboard --later >out 2>&1 <<-END
	{"id":"o1","owner_email":"a@b.example"}
END
automate-alert --later -s critical 'on fire' </dev/null >out 2>&1
state() {
	cat automate.db automate.db-wal
}
state >before

# wrong PATTERN COMMAND...: 64, says that, changes nothing.
wrong() {
	wrong_pattern=$1
	shift
	run "$@" </dev/null
	is_status 64 "$*"
	like "$(cat err)" "$wrong_pattern" "$*: says why"
	state >after
	ok "$*: does nothing" sh -c '! [ -s out ] && cmp before after'
}

# A web server may make words of the query, so automate-cgi takes no options.
for command in $(commands | grep -v -x automate-cgi); do
	wrong 'unrecognized option' "$command" --nonsense
	wrong 'usage: ' "$command" -c
	wrong 'no time like' "$command" --now yesterday
	wrong 'no time like' "$command" --now 2026-02-30T00:00:00Z
	run env AUTOMATE_NOW=tomorrow "$command" </dev/null
	is_status 64 "$command: AUTOMATE_NOW is looked at too"
done
wrong 'usage: ' automate-onboard in.json

wrong 'none of info, warning, error, critical' automate-alert -s bad x
wrong 'usage: ' automate-alert -s critical
wrong 'usage: ' automate-alert --resolve alert 'on fire'
wrong 'usage: ' automate-alert --resolve alert -s info

wrong 'usage: ' automate-deliver nonsense
wrong 'usage: ' automate-deliver list mail
wrong 'usage: ' automate-deliver show
wrong 'usage: ' automate-deliver retry
wrong 'usage: ' automate-deliver retry 1 --dead
wrong 'usage: ' automate-deliver hold mail slack.customers
wrong 'usage: ' automate-deliver release
wrong 'usage: ' automate-deliver purge
wrong 'no length of time' automate-deliver purge --older soon
wrong 'no length of time' automate-deliver purge --older -1d
wrong 'no destination "nowhere".* slack.alerts' automate-deliver hold nowhere
wrong 'no destination "nowhere"' automate-deliver list --destination nowhere
wrong 'no state "owed".* queued' automate-deliver list --state owed
# Without their verb these would send.
wrong 'usage: ' automate-deliver --state dead
wrong 'usage: ' automate-deliver --destination mail
wrong 'usage: ' automate-deliver --older 90d
wrong 'usage: ' automate-deliver --dead
wrong 'usage: ' automate-deliver cancel 1 --event onboard:o1

wrong 'usage: ' automate-dunning now
wrong 'usage: ' automate-dunning --list --preview
wrong 'usage: ' automate-dunning --freeze o1 --thaw o1
wrong 'usage: ' automate-dunning --freeze
wrong 'usage: ' automate-dunning --force --list

wrong 'usage: ' automate-log nonsense
wrong 'usage: ' automate-log list extra
wrong 'usage: ' automate-log show
wrong 'usage: ' automate-log why one two
wrong 'none of info' automate-log --severity bad
wrong 'from 1 to' automate-log --limit 5x
wrong 'from 1 to' automate-log --limit 0
wrong 'from 1 to' automate-log --limit 99999999999999999999
wrong 'no time like' automate-log --since lunch
wrong 'usage: ' automate-log -f
wrong 'usage: ' automate-log list --for 2h
wrong 'usage: ' automate-log resolve 1 --open
wrong 'no length of time' automate-log ack 1 --for ever

for id in 0 -1 1x '' 99999999999999999999; do
	run automate-log show -- "$id"
	is_status 65 "no alert \"$id\""
	run automate-deliver show -- "$id"
	is_status 65 "no delivery \"$id\""
done
done_testing
