#!/bin/sh
# Being asked to end, and being late: a sender that is told to stop finishes
# what is under way and gives back the rest, and what is committed while one is
# at work does not wait for the next minute.
. "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2119 # no options
start_httpd
config
sed 's/^mail:/&\n  concurrency: 3/' automate.yaml >three.yaml
mv three.yaml automate.yaml
automate-deliver hold slack.customers
automate-deliver hold slack.alerts

# Long enough for an onboarding, in ms; and how often to be near an end.
delay=500
times=10
if [ "${VALGRIND:-0}" = 1 ]; then
	delay=10000
	times=2
fi

# owe NAME COUNT: so many mails, due now.
owe() {
	owe_count=0
	while [ $owe_count -lt "$2" ]; do
		owe_count=$((owe_count + 1))
		echo "{\"id\":\"$1$owe_count\",\"owner_email\":\"a@b.example\"}"
	done | automate-onboard --later >out 2>&1
}
state() {
	sql "SELECT state FROM deliveries WHERE idempotency_key = 'onboard:$1:welcome'"
}
count() {
	sql "SELECT count(*) FROM deliveries WHERE step = 'welcome' AND $1"
}

for signal in TERM INT; do
	: >requests
	script '/mail 200 delay=400 body=Accepted'
	owe $signal 40
	automate-deliver >out 2>err &
	sender=$!
	wait_for 10 test -s requests
	kill -$signal $sender
	wait $sender
	status=$?
	mine="idempotency_key LIKE 'onboard:$signal%'"
	is_status 75 "SIG$signal: what is left is not now"
	ok "SIG$signal: some went" [ "$(count "$mine AND state = 'done'")" -gt 0 ]
	ok "SIG$signal: some did not" \
		[ "$(count "$mine AND state = 'queued'")" -gt 20 ]
	is "$(count "state = 'sending'")" 0 "SIG$signal: none is left claimed"
	is "$(count "state = 'queued' AND attempts > 0")" 0 \
		"SIG$signal: what went back was not tried"
	is "$(count "$mine AND state = 'done'")" "$(wc -l <requests | tr -d ' ')" \
		"SIG$signal: what was under way was finished and settled"
	script '/mail 200 body=Accepted'
	run automate-deliver
	is "$(count "state <> 'done'")" 0 "SIG$signal: the next run sends the rest"
	is "$(grep -o '"idempotency-key":"[^"]*"' requests | sort | uniq -d)" '' \
		"SIG$signal: and nothing twice"
done

# Committed while a run waits for an answer: that run takes it along.
script "/mail 200 delay=$delay" '/mail 200'
: >requests
owe first 1
automate-deliver >out.first 2>&1 &
sender=$!
wait_for 10 test -s requests
owe second 1
wait $sender
is "$(state first1) $(state second1)" 'done done' \
	'a run takes along what is committed meanwhile'

# And where its own sender is started, that does not leave it to the other one.
script "/mail 200 delay=$delay" '/mail 200'
: >requests
owe third 1
automate-deliver >out.third 2>&1 &
sender=$!
wait_for 10 test -s requests
echo '{"id":"fourth","owner_email":"a@b.example"}' >in
run automate-onboard <in
is "$(state fourth)" "done" 'a receiving command waits for no other run'
like "$(cat err)" 'mail welcome: delivered' 'and says that it went'
wait $sender
is "$(state third1)" "done" 'that one goes on'

# One that is just ending: as near to its end as chance brings it.
script '/mail 200 delay=10'
left=
n=0
while [ $n -lt $times ]; do
	n=$((n + 1))
	owe "old$n-" 1
	automate-deliver >out.old 2>&1 &
	sender=$!
	echo "{\"id\":\"new$n\",\"owner_email\":\"a@b.example\"}" >in
	automate-onboard <in >out 2>&1
	[ "$(state "new$n")" = "done" ] || left="$left $n"
	wait $sender
done
is "$left" '' 'what came near the end of another run was not left'
is "$(count "state <> 'done'")" 0 'and neither was what that had to send'
is "$(grep -o '"idempotency-key":"[^"]*"' requests | sort | uniq -d)" '' \
	'none went twice'
done_testing
