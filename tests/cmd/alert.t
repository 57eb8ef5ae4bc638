#!/bin/sh
# Alerts: who hears of what, when, and how often. Time is played with --now.
. "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2119 # no options
start_httpd
config
sed 's/^database:$/&\n  busy_timeout: 60s/' automate.yaml >new.yaml && mv new.yaml automate.yaml

# after LENGTH: the moment so long after a Tuesday noon, such as '90 minutes'.
after() {
	date -u -d "2026-11-24T12:00:00Z $1" +%Y-%m-%dT%H:%M:%SZ
}
# raise AFTER OPTION...: an alert then, sent as a command does.
raise() {
	raise_now=$(after "$1")
	shift
	run automate-alert --now "$raise_now" "$@" </dev/null
}
resolve() {
	run automate-alert --now "$(after "$1")" --resolve "$2"
}
deliver() {
	run automate-deliver --now "$(after "$1")"
}
# fresh: nothing there, nothing seen, every receiver well.
fresh() {
	rm -f automate.db*
	script
	: >requests
}
# said PATH: the titles that came there, one a line.
said() {
	grep -F "\"path\":\"$1\"," requests | while read -r line; do
		printf '%s\n' "$line" >request
		case $1 in
		/mail) json request '$.body' '$.title' ;;
		*) json request '$.body' '$.text' | sed 's/ https:.*//;q' ;;
		esac
	done
}
# count PATH
count() {
	requests "$1"
}

# A storm out of many processes; of fewer where each takes its time.
crowd=40
[ "${VALGRIND:-0}" = 0 ] || crowd=6
storm=
for n in $(seq $crowd); do
	automate-alert --now "$(after '0 minutes')" -s critical -k retell.down \
		--lead "lead_$n" "call $n failed" </dev/null >out.storm 2>&1 &
	storm="$storm $!"
done
# shellcheck disable=SC2086 # a list
wait $storm
deliver '1 minute'
is "$(count /sms)" 1 "$crowd processes: one SMS"
ok 'and a Slack message at once' [ "$(count /slack-alerts)" -ge 1 ]
deliver '60 minutes'
ok 'at most two Slack messages in all' [ "$(count /slack-alerts)" -le 2 ]
is "$(count /sms)" 1 'still one SMS'
is "$(sql "SELECT count(*) FROM system_alerts a WHERE 1 = (SELECT count(*) FROM alert_messages m JOIN deliveries d ON d.id = m.delivery_id WHERE m.alert_id = a.id AND d.destination = 'slack.alerts' AND d.state = 'done')")" \
	$crowd 'each alert is in one of them'
said /slack-alerts >titles
is "$(sed 's/CRITICAL: \([0-9]*\) x retell.down$/\1/;t;s/.*/1/' titles | awk '{ n += $1 } END { print n }')" \
	$crowd 'they have their number'

# What joins in a message is counted, five of it named.
fresh
for n in 1 2 3 4 5 6 7; do
	raise '0 minutes' -k retell.down --lead "lead_$n" "call $n failed"
done
deliver '60 minutes'
is "$(said /slack-alerts | tail -1)" 'Error: 6 x retell.down' \
	'six join in a message'
grep slack-alerts requests | tail -1 >request
is "$(json request '$.body' '$.text' | grep -c '^- call')" 5 \
	'which has five examples'

# Repeats and acknowledgement.
fresh
raise '0 minutes' -s critical -k backup 'Backup failed'
raise '29 minutes' -s critical -k backup 'Backup failed'
is "$(count /slack-alerts) $(count /sms)" '1 1' 'a critical one is not repeated early'
raise '31 minutes' -s critical -k backup 'Backup failed'
is "$(said /sms | tail -1)" 'automate: CRITICAL: Backup failed (3 times)' \
	'but after half an hour'
run env LOGNAME=dana automate-log --now "$(after '32 minutes')" ack 1 --for 2h
run automate-log --json --now "$(after '33 minutes')" show 1
minute() {
	json out "$1" | cut -c 1-16
}
is "$(json out '$.state') $(json out '$.acknowledged_by') $(minute '$.acknowledged') $(minute '$.acknowledged_until')" \
	'acknowledged dana 2026-11-24T12:32 2026-11-24T14:32' \
	'acknowledged: by whom, when and until when'
raise '151 minutes' -s critical -k backup 'Backup failed'
is "$(count /slack-alerts) $(count /sms)" '2 2' 'then it is silent'
is "$(sql 'SELECT count FROM system_alerts')" 4 'and counted'
raise '153 minutes' -s critical -k backup 'Backup failed'
is "$(count /slack-alerts) $(count /sms)" '3 3' 'until that is over'
run env LOGNAME=dana automate-log --now "$(after '3 hours')" ack 1
raise '9 hours' -s critical -k backup 'Backup failed'
is "$(count /slack-alerts)" 3 'acknowledged without an end: silent'
resolve '10 hours' backup
is "$(said /sms | tail -1)" 'automate: Resolved: Backup failed' \
	'its end is told all the same'
fresh
raise '0 minutes' -s warning -k disk 'Disk fills up'
automate-log --now "$(after '1 minute')" ack 1
raise '2 minutes' -s critical -k disk 'Disk full'
is "$(said /sms)" 'automate: CRITICAL: Disk full (2 times)' \
	'acknowledged as a warning: that it became critical is told at once'
is "$(said /slack-alerts | tail -1)" 'CRITICAL: Disk full (2 times)' \
	'in Slack too, whatever waits'

# What is over before it was said.
fresh
raise '0 minutes' -k a.b --key one One
raise '1 minute' -k a.b --key two Two
raise '1 minute' -k a.b --key three Three
resolve '2 minutes' two
deliver '10 minutes'
is "$(said /slack-alerts | tr '\n' ';')" 'Error: One;Error: Three;' \
	'neither its beginning nor its end is said'
resolve '11 minutes' three
is "$(said /slack-alerts | tail -1)" 'Resolved: Three' 'the end of another is'

# Flapping: it begins and ends every two minutes.
fresh
sed 's/^slack:/alerts:\n  group_interval: 1s\n&/' automate.yaml >quick.yaml
AUTOMATE_CONFIG=$SCRATCH/quick.yaml
for n in 0 4 8 12 16; do
	raise "$n minutes" -k door 'The door is open'
	resolve "$((n + 2)) minutes" door
	like "$(cat out)" "$([ "$n" -lt 8 ] && echo resolved || echo flapping)" \
		"end $n: what it says"
done
is "$(said /slack-alerts | tr '\n' ';')" \
	'Error: The door is open;Resolved: The door is open;Error: The door is open;Resolved: The door is open;Error, flapping: The door is open;' \
	'flapping is said once'
run automate-log list
like "$(cat out)" ' 3 .* flapping ' 'the log shows it'
deliver '47 minutes'
is "$(count /slack-alerts)" 5 'nothing for half an hour'
deliver '49 minutes'
is "$(said /slack-alerts | tail -n +6)" 'Resolved: The door is open' \
	'then its end, once'
is "$(sql 'SELECT max(id) || resolved_by FROM system_alerts WHERE resolved_at IS NOT NULL')" \
	"3$(sql 'SELECT resolved_by FROM system_alerts WHERE id = 1')" \
	'by whoever said so'
deliver '90 minutes'
is "$(count /slack-alerts)" 6 'and no more'
fresh
for n in 0 4 8; do
	raise "$n minutes" -k door 'The door is open'
	[ "$n" = 8 ] || resolve "$((n + 2)) minutes" door
done
deliver '40 minutes'
is "$(said /slack-alerts | tail -1)" 'Error, no longer flapping: The door is open' \
	'one that stands at the end is said to'
run automate-log list --open
like "$(cat out)" ' 3 .* open ' 'and is open'
fresh
for n in 0 4 8; do
	raise "$n minutes" -k door 'The door is open'
	resolve "$((n + 2)) minutes" door
done
run automate-log --now "$(after '12 minutes')" resolve 3
is "$(said /slack-alerts | tail -1)" 'Resolved: The door is open' \
	'by hand it is closed at once'
AUTOMATE_CONFIG=$SCRATCH/automate.yaml

# Quiet hours.
fresh
sed 's/^slack:/alerts:\n  quiet_hours: 22:00-07:00\n&/' automate.yaml >quiet.yaml
AUTOMATE_CONFIG=$SCRATCH/quiet.yaml
raise '9 hours' -k early 'Before the night'
for n in 1 2 3 4 5; do
	raise "$((10 + n)) hours" --lead "lead_$n" -k call.failed Failed
done
raise '12 hours' -s warning -k disk 'Disk fills up'
raise '13 hours' -s critical -k fire 'On fire'
is "$(said /slack-alerts | tr '\n' ';')$(said /sms)" \
	'Error: Before the night;CRITICAL: On fire;automate: CRITICAL: On fire' \
	'at night only the critical is told'
resolve '14 hours' call.failed:lead_2
resolve '14 hours' early
resolve '14 hours' fire
is "$(said /sms | tail -1)" 'automate: Resolved: On fire' \
	'and that it is over'
deliver '18 hours'
is "$(count /slack-alerts)" 3 'nothing else in the night'
deliver '19 hours'
is "$(said /slack-alerts | tail -n +4)" '7 alerts during quiet hours' \
	'in the morning there is one digest'
grep slack-alerts requests | tail -1 >request
like "$(json request '$.body' '$.text')" '^5 x call.failed$' 'with numbers by kind'
like "$(json request '$.body' '$.text')" '^2 of them over$' 'and what is over'
like "$(json request '$.body' '$.text')" 'automate-log list --since 2026-11-24T21:0.:..Z' \
	'and what to type next'
is "$(sql "SELECT group_concat(DISTINCT state) FROM deliveries")" "done" \
	'nothing is left'
AUTOMATE_CONFIG=$SCRATCH/automate.yaml

# The fallback.
fresh
script '/slack-alerts 500' '/sms 500'
raise '0 minutes' -s critical -k fire 'On fire'
deliver '1 minute'
is "$(count /mail)" 0 'a critical one that nobody got has two minutes'
deliver '3 minutes'
is "$(said /mail)" 'CRITICAL: On fire' 'then it goes by mail'
grep '"/mail"' requests >request
is "$(json request '$.body' '$.step') $(json request '$.body' '$.kind')" \
	'alert fire' 'which the webhook can tell by its step'
deliver '4 minutes'
is "$(count /mail)" 1 'once'
script '/slack-alerts 200 body=ok' '/sms 200'
deliver '30 minutes'
is "$(count /mail)" 1 'also when the others come after all'
resolve '31 minutes' fire
is "$(said /mail | tail -1)" 'Resolved: On fire' 'its end is told there too'

fresh
script '/slack-alerts 500'
raise '0 minutes' -s critical -k fire 'On fire'
deliver '5 minutes'
is "$(count /sms) $(count /mail)" '1 0' 'one channel that has it is enough'

fresh
script '/slack-alerts 410 body=channel_is_archived'
raise '0 minutes' -s error -k disk 'Disk full'
is "$(count /sms)" 0 'an error is for Slack'
deliver '1 minute'
is "$(said /sms | sort | tr '\n' ';')" \
	'automate: Error: A destination was stopped: slack.alerts;automate: Error: Disk full;' \
	'Slack is gone: it goes by SMS, and so does the reason'
deliver '2 minutes'
deliver '5 minutes'
is "$(count /sms) $(count /mail)" '2 0' 'once'
script '/slack-alerts 200 body=ok'
automate-deliver --now "$(after '6 minutes')" release slack.alerts
deliver '7 minutes'
is "$(said /slack-alerts | tail -1)" 'Error: Disk full' 'Slack has it after all'
is "$(said /sms | tail -1)" \
	'automate: Resolved: A destination was stopped: slack.alerts' \
	'and that it is well again is told where it was told'

fresh
script '/slack-alerts 400 body=invalid_payload' '/sms 400 body=no' '/mail 400'
raise '0 minutes' -s critical -k fire 'On fire'
for n in 1 2 3 4 5 6 7 8 9; do
	deliver "$n minutes"
done
ok 'where nothing works, that ends too' [ "$(wc -l <requests)" -le 12 ]
is "$(sql "SELECT count(*) FROM deliveries WHERE state = 'queued'")" 0 \
	'with nothing left to send'

# The age of the queue.
fresh
echo '{"id":"o1","name":"o1","owner_email":"a@b.example"}' |
	automate-onboard --now "$(after '0 minutes')" --later >out 2>&1
automate-deliver hold mail
deliver '14 minutes'
is "$(count /slack-alerts)" 0 'a quarter of an hour is not late'
deliver '16 minutes'
is "$(said /slack-alerts)" 'Warning: Deliveries are late: mail' 'then it is'
like "$(tail -1 requests)" 'automate-deliver list --state queued --destination mail' \
	'with the command that shows them'
deliver '17 minutes'
deliver '100 minutes'
is "$(count /slack-alerts) $(count /sms)" '1 0' 'said once'
deliver '121 minutes'
is "$(said /slack-alerts | tail -1)" \
	'CRITICAL: Deliveries are late: mail (2 times)' 'after two hours it is critical'
is "$(count /sms)" 1 'and rings'
deliver '122 minutes'
deliver '300 minutes'
is "$(count /slack-alerts) $(count /sms)" '2 1' 'once'
automate-deliver release mail
deliver '301 minutes'
is "$(count /mail)" 1 'released, all goes out'
is "$(said /slack-alerts | tail -1)" 'Resolved: Deliveries are late: mail' \
	'which ends it'
is "$(said /sms | tail -1)" 'automate: Resolved: Deliveries are late: mail' \
	'both ways'
deliver '302 minutes'
is "$(count /slack-alerts) $(count /sms)" '3 2' 'once'
is_status 0 'and the queue is in order'

# A database of version 1, with an alert that waits for others of its kind.
fresh
{
	cat "$TOP/lib/store/schema/001-init.sql"
	cat <<-'END'
	PRAGMA application_id = 1098216559;
	PRAGMA user_version = 1;
	INSERT INTO deliveries (id, idempotency_key, destination, step,
	    alert_kind, body, state, due_at, expires_at, created_at) VALUES
	    (7, 'alert:3:1:slack.alerts', 'slack.alerts', 'alert', 'a.b', '{}',
	    'queued', 1795521900, 1795608300, 1795521600);
	INSERT INTO system_alerts (id, kind, severity, fingerprint, title, count,
	    first_seen_at, last_seen_at, notified_at, told, delivery_id) VALUES
	    (3, 'a.b', 'error', 'old', 'Old', 1, 1795521600, 1795521600,
	    1795521600, 'slack.alerts', 7);
	END
} | sqlite3 "$DB"
raise '1 minute' -k a.b --key new New
is_status 0 'a database of version 1 is taken on'
deliver '6 minutes'
is "$(said /slack-alerts)" 'Error: 2 x a.b' 'with what it holds'
is "$(sql 'SELECT first_due_at FROM deliveries WHERE id = 7')" 1795521900 \
	'and what it owes'
resolve '7 minutes' old
is "$(said /slack-alerts | tail -1)" 'Resolved: Old' 'and who heard of it'
done_testing
