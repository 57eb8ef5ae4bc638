#!/bin/sh
# The queue as a person sees it: what would go, what went, how it went out, and
# what the exit status says of it.
. "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2119 # no options
start_httpd
config
sed 's/^mail:/&\n  api_key: secret-make-key/' automate.yaml >new.yaml
mv new.yaml automate.yaml

# owe NAME: an organization whose mail and Slack post are due now.
owe() {
	echo "{\"id\":\"$1\",\"name\":\"$1\",\"owner_email\":\"a@b.example\"}" |
		automate-onboard --later >out.owe 2>&1
}
id() {
	sql "SELECT id FROM deliveries WHERE idempotency_key = '$1'"
}
in_days() {
	date -u -d "+$1 days +1 minute" +%Y-%m-%dT%H:%M:%SZ
}
# steps: of the rows listed, in order.
steps() {
	sed 1d out | awk '{ print $4 }' | tr '\n' ' '
}

# What a run would send.
owe one
owe two
run automate-deliver -n
is_status 0 'a dry run'
is "$(steps)" 'welcome welcome new_customer new_customer ' \
	'lists what is due, in the order in which it goes'
run automate-deliver -n --event onboard:two
is "$(steps)" 'welcome new_customer ' 'of one event'
run automate-deliver -n --json --event onboard:two
is "$(grep -c '^{.*}$' out)" 2 'as JSON, one object a line'
is "$(head -1 out >first && json first '$.idempotency_key')" \
	onboard:two:welcome 'by the same names as list'
run automate-deliver -n --now "$(in_days 3)" --event onboard:two
is "$(steps)" 'welcome day_1 day_3 new_customer ' 'and what will be due'
automate-deliver hold mail
run automate-deliver -n
is "$(steps)" 'new_customer new_customer ' 'but for what is on hold'

# The exit status.
run automate-deliver
is_status 75 'something is due to a destination on hold: not now'
like "$(cat err)" '2 due and not sent yet; see automate-deliver list' 'and why'
automate-deliver release mail
script '/mail 429 header=Retry-After:300'
run automate-deliver
is_status 75 'something was postponed: not now'
run automate-deliver
is_status 75 'nor when it still waits'
script '/mail 400'
automate-deliver retry onboard:one:welcome >out 2>&1
run automate-deliver
is_status 1 'something died in this run'
run automate-deliver
is_status 75 'not in this one, but something waits'
script
automate-deliver retry onboard:two:welcome >out 2>&1
run automate-deliver
is_status 0 'the queue is in order, whatever died long ago'

# One delivery.
run automate-deliver show onboard:two:welcome
like "$(cat out)" "^request +POST $URL/\*\*\*$" 'show: the request'
like "$(cat out)" '^ +Idempotency-Key: onboard:two:welcome$' 'its headers'
like "$(cat out)" '^ +x-make-apikey: \*\*\*$' 'its secrets masked'
like "$(cat out)" '^body +\{.*"step":"welcome"' 'its body'
is "$(grep -c '^attempt [0-9]' out)" 2 'each attempt'
run automate-deliver --json show onboard:two:welcome
is "$(json out '$.id') $(json out '$.state') $(json out '$.attempts') $(json out '$.tries[1].status')" \
	"$(id onboard:two:welcome) done 2 200" 'show: as JSON'
grep '"/mail"' requests | tail -1 >request
for header in content-type idempotency-key webhook-id; do
	value=$(json request "\$.headers.\"$header\"")
	like "$(json out '$.request.headers' | tr '[:upper:]' '[:lower:]')" \
		"\"$header: $value\"" "$header is what was sent"
done
is "$(json out '$.request.body')" "$(json request '$.body')" 'and so is the body'
automate-alert --later -s critical -k fire 'On fire' </dev/null >out 2>&1
run automate-deliver show "$(sql "SELECT id FROM deliveries WHERE destination = 'sms'")"
like "$(cat out)" '^body +\{"to":"\*\*\*","text":".*On fire' \
	'show: a text message, and nobody'\''s number'
unlike "$(cat out)" '5550100' 'nowhere'
automate-deliver -q

# Retried, it is the same one.
run automate-deliver --dry-run retry --dead
is "$(steps)" 'welcome ' 'retry --dead --dry-run lists what it would'
is "$(sql "SELECT count(*) FROM deliveries WHERE state = 'dead'")" 1 'and does not'
before=$(id onboard:one:welcome)
run automate-deliver retry --dead
is "$(steps)" 'welcome ' 'retry --dead lists the same'
like "$(cat err)" '1 queued again' 'and does'
run automate-deliver -v
like "$(cat err)" "^automate-deliver: mail welcome $before: attempt 3, status 200, [0-9]+ ms: answered 200" \
	'-v: a line for each attempt'
is "$(id onboard:one:welcome)" "$before" 'under its number'
is "$(grep -c '"idempotency-key":"onboard:one:welcome"' requests)" 3 'and its key'
run automate-deliver retry onboard:one:welcome
is_status 65 'what is done is not retried'
is "$(cat out)" '' 'nor listed'
run automate-deliver cancel "$(id onboard:one:day_1)"
is "$(steps)" 'day_1 ' 'cancel lists what it cancels'

# A report has no end.
sqlite3 "$DB" "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1100) INSERT INTO deliveries (idempotency_key, destination, step, event_id, body, state, due_at, first_due_at, expires_at, created_at) SELECT 'many:' || i, 'mail', 'many', 'onboard:two', '{}', 'queued', created_at, created_at, expires_at, created_at FROM deliveries, n WHERE idempotency_key = 'onboard:two:welcome'"
run automate-deliver --event onboard:two
is "$(grep -c 'mail many: delivered' err)" 1100 'a report of 1100 deliveries'

# Progress, where somebody looks on. Another script(1) than ours.
again() {
	sqlite3 "$DB" "UPDATE deliveries SET state = 'queued' WHERE $1"
	TERM=xterm command script -qec automate-deliver /dev/null >out 2>&1
}
if command script -qec true /dev/null >out 2>&1; then
	again "step = 'many'"
	like "$(tr '\r' '\n' <out)" '^\[#* *\] [0-9]+ of 1100, 0 postponed, 0 dead ' \
		'a bar on a terminal'
	is "$(tr -d '\n' <out | sed 's/.*\r \{78\}\r//' | tr -d '\r')" \
		'automate-deliver: sent 1100, postponed 0, dead 0' \
		'which leaves nothing behind'
	again "idempotency_key = 'many:1'"
	unlike "$(cat out)" '\[' 'none for a few'
else
	tap_pass 'progress on a terminal # SKIP no script(1)'
fi
done_testing
