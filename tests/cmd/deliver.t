#!/bin/sh
# What becomes of a delivery, by what the receiver says; and the verbs.
. "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2119 # no options
start_httpd
config

# owe NAME: an organization whose mail and Slack post are due now.
owe() {
	echo "{\"id\":\"$1\",\"name\":\"$1\",\"owner_email\":\"a@b.example\"}" |
		automate-onboard --later >/dev/null 2>&1
}
state() {
	sql "SELECT state FROM deliveries WHERE idempotency_key = '$1'"
}

owe plain
run automate-deliver
is_status 0 'all is delivered'
like "$(grep '"/mail"' requests)" '"idempotency-key":"onboard:plain:welcome"' \
	'under its idempotency key'
run automate-deliver
is_status 0 'and again: nothing to do'
is "$(requests)" 2 'and nothing sent'

script '/mail 400 body=no such field'
owe refused
run automate-deliver
is_status 1 'a refusal for good: status 1'
is "$(state onboard:refused:welcome)" dead 'it is dead'
is "$(sql "SELECT count FROM system_alerts WHERE kind = 'delivery.dead'")" 1 \
	'and an alert'
is "$(requests /slack-alerts)" 1 'which went out in the same run'
run automate-deliver list --state dead
like "$(cat out)" 'no such field' 'the list says why'
id=$(sql "SELECT id FROM deliveries WHERE state = 'dead'")
run automate-deliver show "$id"
like "$(cat out)" 'attempt 1 .*status 400' 'show has the attempt'
like "$(cat out)" "^request +POST $URL/\*\*\*$" 'and the request'
unlike "$(cat out)" "$URL/mail" 'but no secret'
script '/mail 200 body=Accepted'
run automate-deliver retry "$id"
is_status 0 'retry'
run automate-deliver
is "$(state onboard:refused:welcome)" "done" 'sends it after all'

script '/mail 429 header=Retry-After:300' '/mail 200'
owe busy
run automate-deliver
is_status 75 'a full receiver: status 75'
is "$(sql "SELECT due_at - created_at >= 300 FROM deliveries WHERE idempotency_key = 'onboard:busy:welcome'")" \
	1 'not before what Retry-After asks for'
run automate-deliver cancel onboard:busy:welcome
is "$(state onboard:busy:welcome)" cancelled 'cancel'
owe rested
run automate-deliver release mail
run automate-deliver
is "$(state onboard:rested:welcome)" "done" 'release ends the rest it asked for'

script '/mail 410 body=There is no scenario listening'
owe gone1
owe gone2
before=$(requests /mail)
run automate-deliver
is_status 75 'a destination that is gone: status 75'
is "$(state onboard:gone1:welcome)" queued 'keeps what is owed'
run automate-deliver list --state held
is "$(grep -c mail out)" "$(sql "SELECT count(*) FROM deliveries WHERE destination = 'mail' AND state = 'queued'")" \
	'all of it is shown as held'
is "$(sql "SELECT count(*) FROM system_alerts WHERE kind = 'delivery.held'")" 1 \
	'one alert tells of it'
run automate-deliver
is_status 75 'the next run says again that it waits'
ok 'not every row was tried' [ "$(requests /mail)" -le $((before + 2)) ]
script '/mail 200 body=Accepted'
run automate-deliver release mail
run automate-deliver
is "$(state onboard:gone1:welcome)$(state onboard:gone2:welcome)" donedone \
	'after release all goes out'

script '/slack-customers 400 body=invalid_blocks' '/slack-customers 200 body=ok'
before=$(requests /slack-customers)
owe blocks
run automate-deliver
is "$(state onboard:blocks:slack)" "done" 'Slack takes the text where not the blocks'
is "$(requests /slack-customers)" $((before + 2)) 'on the second request'
unlike "$(grep slack-customers requests | tail -1)" 'plain_text' 'which has none'

script '/mail 500'
for n in 1 2 3 4 5 6 7; do
	owe "down$n"
done
run automate-deliver
is_status 75 'a receiver that is down: status 75'
is "$(sql "SELECT open_until > 0 FROM destinations WHERE name = 'mail'")" 1 \
	'opens the breaker'
is "$(sql "SELECT count(*) FROM deliveries WHERE destination = 'slack.customers' AND state <> 'done'")" \
	0 'and keeps no other destination'
is "$(sql "SELECT count(*) FROM system_alerts WHERE kind = 'delivery.breaker_open'")" \
	1 'an alert says so'
script '/mail 200'
run automate-deliver --now "$(date -u -d '+1 hour' +%Y-%m-%dT%H:%M:%SZ)"
is "$(sql "SELECT count(*) FROM deliveries WHERE idempotency_key LIKE 'onboard:down%:welcome' AND state = 'done'")" \
	7 'a probe closes it, and all goes out in the same run'

# Who asks for a pause, or is gone, gets nothing of what was claimed already.
sed 's/^mail:/&\n  concurrency: 1/' automate.yaml >one.yaml
for answer in '429 header=Retry-After:300' '410 body=gone'; do
	script "/mail $answer"
	for n in 1 2 3 4; do
		owe "pause${answer%% *}-$n"
	done
	before=$(requests /mail)
	automate-deliver -q -c one.yaml 2>/dev/null
	is "$(requests /mail)" $((before + 1)) \
		"after a ${answer%% *} nothing more goes there in this run"
	automate-deliver -q -c one.yaml --now "$(date -u -d '+1 minute' +%Y-%m-%dT%H:%M:%SZ)" 2>/dev/null
	is "$(requests /mail)" $((before + 1)) 'nor in the next, a minute later'
	is "$(automate-deliver -n --now "$(date -u -d '+1 minute' +%Y-%m-%dT%H:%M:%SZ)" | grep -c pause)" \
		0 'nor would it'
	is "$(sql "SELECT count(*) FROM deliveries WHERE state = 'queued' AND idempotency_key LIKE 'onboard:pause${answer%% *}-%:welcome'")" \
		4 'and all of it is queued'
	script '/mail 200'
	[ "${answer%% *}" = 429 ] || automate-deliver -q release mail
	automate-deliver -q -c one.yaml --now "$(date -u -d '+10 minutes' +%Y-%m-%dT%H:%M:%SZ)" 2>/dev/null
	is "$(sql "SELECT count(*) FROM deliveries WHERE state = 'done' AND idempotency_key LIKE 'onboard:pause${answer%% *}-%:welcome'")" \
		4 'until it may go'
	automate-deliver -q release mail
done

# Two runs at once never send the same row twice.
for n in $(seq 40); do
	echo "{\"id\":\"many$n\",\"owner_email\":\"a@b.example\"}"
done | automate-onboard --later >/dev/null 2>&1
before=$(requests /mail)
automate-deliver hold slack.customers
later=$(date -u -d '+2 hours' +%Y-%m-%dT%H:%M:%SZ)
automate-deliver -q --now "$later" 2>/dev/null &
one=$!
automate-deliver -q --now "$later" 2>/dev/null
wait $one
is "$(grep -c '"/mail"' requests)" $((before + 40)) \
	'two runs at once send every row once'

# A transaction that fails while a request is under way.
script '/mail 200 delay=400' '/slack-customers 200 body=ok'
echo '{"id":"halfway","owner_email":"a@b.example"}' |
	elsewhere half.db automate-onboard --later >out 2>err
sqlite3 half.db "CREATE TRIGGER broken BEFORE UPDATE ON deliveries WHEN new.state = 'done' BEGIN SELECT RAISE(ABORT, 'broken'); END"
run elsewhere half.db automate-deliver
is_status 70 'a transaction that fails ends the run'
like "$(cat err)" 'broken' 'and says why'
unlike "$(cat err)" Sanitizer 'and leaves nothing behind'
sqlite3 half.db 'DROP TRIGGER broken'
run elsewhere half.db automate-deliver
is_status 0 'the next run sends all of it'
is "$(sqlite3 half.db "SELECT count(*) FROM deliveries WHERE state = 'done'")" 2 \
	'and keeps it'

# A rate is kept from one to the next: Slack takes one a second.
sed -i '/rate: unlimited/d' automate.yaml
echo '{"id":"slow1"}' | elsewhere slow.db automate-onboard --later >out 2>err
echo '{"id":"slow2"}' | elsewhere slow.db automate-onboard --later >out 2>err
run elsewhere slow.db automate-deliver
is "$(sed -n '/"\/slack-customers"/s/.*"at_ms":\([0-9]*\).*/\1/p' requests |
	tail -2 | awk '{ gap = $1 - last; last = $1 } END { print (gap >= 500) }')" \
	1 'two posts to Slack keep their distance'

run automate-deliver hold nowhere
is_status 64 'no such destination'
run automate-deliver show 99999
is_status 65 'no such delivery'
run automate-deliver nonsense
is_status 64 'no such verb'
run automate-deliver --now "$(date -u -d '+100 days' +%Y-%m-%dT%H:%M:%SZ)" purge --older 90d
is "$(sql "SELECT count(*) FROM deliveries WHERE state IN ('done','dead','cancelled')")" \
	0 'purge'
done_testing
