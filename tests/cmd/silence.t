#!/bin/sh
# What is recorded and not told: silences, and what follows from another alert.
. "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2119 # no options
start_httpd
config

# after LENGTH: the moment so long after a Tuesday noon, such as '90 minutes'.
after() {
	date -u -d "2026-11-24T12:00:00Z $1" +%Y-%m-%dT%H:%M:%SZ
}
raise() {
	raise_now=$(after "$1")
	shift
	run automate-alert --now "$raise_now" "$@" </dev/null
}
deliver() {
	run automate-deliver --now "$(after "$1")"
}
log() {
	log_now=$(after "$1")
	shift
	run env LOGNAME=dana automate-log --now "$log_now" "$@"
}
fresh() {
	rm -f automate.db*
	script
	: >requests
}
# said PATH: the titles that came there, each with a semicolon.
said() {
	grep -F "\"path\":\"$1\"," requests | while read -r line; do
		printf '%s\n' "$line" >request
		json request '$.body' '$.text' | sed 's/ https:.*//;q'
	done | tr '\n' ';'
}
state() {
	automate-log --json show "$1" >shown
	json shown '$.state'
}

# A silence is asked for with an end and a reason.
fresh
refused() {
	refused_pattern=$1 refused_name=$2
	shift 2
	log '0 minutes' silence backup "$@"
	is_status 64 "$refused_name is refused"
	like "$(cat err)" "$refused_pattern" "$refused_name: why"
}
refused 'has an end' 'one without an end' --because tape
refused 'at most 30d' 'one for ever' --for 31d --because tape
refused 'has an end' 'one of no length' --for 0 --because tape
refused '--for' 'one of no known length' --for ever --because tape
refused 'has a reason' 'one without a reason' --for 2h
refused 'has a reason' 'one with an empty reason' --for 2h --because ' '
refused 'a line' 'one with two lines' --for 2h --because "$(printf 'a\nb')"
refused '200 bytes' 'one with a long story' --for 2h \
	--because "$(printf '%0201d' 0)"
log '0 minutes' list --because tape
is_status 64 'a reason for nothing'
run automate-log --json silences
is "$(cat out)" '' 'none of them is there'

# By key: recorded and counted, told to nobody, told once when it is over.
log '0 minutes' silence backup --for 2h --because 'the tape is changed'
is_status 0 'a silence'
like "$(cat err)" 'known so far' 'of what was never heard of: that is said'
like "$(sed 1d out)" \
	'^ +1  open   2026-11-24T12:0.:..Z  2026-11-24T14:0.:..Z +0  backup  dana  the tape is changed$' \
	'it is shown'
for n in 1 2 3; do
	raise "$n minutes" -s critical --key backup 'Backup failed'
done
raise '4 minutes' --key other 'Something else'
deliver '30 minutes'
is "$(said /slack-alerts)$(said /sms)" 'Error: Something else;' \
	'what is silenced is told to nobody, also if it is critical'
is "$(state 1) $(sql 'SELECT count FROM system_alerts WHERE id = 1')" \
	'silenced 3' 'it is recorded and counted'
log '31 minutes' show 1
like "$(cat out)" '^kept +by silence 1$' 'and shows by what'
log '31 minutes' --json silences --open
is "$(json out '$.kept') $(json out '$.by') $(json out '$.because')" \
	'3 dana the tape is changed' 'the silence counts what it kept'
deliver '119 minutes'
is "$(said /sms)" '' 'nothing before its end'
deliver '121 minutes'
is "$(said /sms)" 'automate: CRITICAL: Backup failed (3 times);' \
	'then it is told with its count, on all channels'
is "$(said /slack-alerts)" \
	'Error: Something else;CRITICAL: Backup failed (3 times);' 'in Slack too'
is "$(state 1)" open 'and is open'
deliver '122 minutes'
deliver '140 minutes'
is "$(grep -c . requests)" 3 'once'
log '3 hours' silences --open
is "$(sed 1d out)" '' 'the silence is over'
log '3 hours' silences
like "$(cat out)" ' 1  over .* 3  backup' 'and stays in the list'

# By kind; what is resolved meanwhile is not told, nor its end.
fresh
log '0 minutes' silence call.failed --for 1h --because 'Retell is being moved'
is "$(cat err)" '' 'a kind of ours is known'
for n in 1 2 3; do
	raise '1 minute' -k call.failed --lead "lead_$n" "call $n failed"
done
run automate-alert --now "$(after '2 minutes')" --resolve call.failed:lead_2
deliver '59 minutes'
is "$(cat requests)" '' 'a kind is silenced'
deliver '61 minutes'
is "$(said /slack-alerts)" 'Error: 2 x call.failed;' \
	'what still stands is told, in one message'

# Taken back.
fresh
log '0 minutes' silence backup --for 2h --because tape
raise '1 minute' --key backup 'Backup failed'
log '2 minutes' unsilence 1
is_status 0 'a silence can be taken back'
is "$(said /slack-alerts)" 'Error: Backup failed;' 'then all is told at once'
like "$(automate-log --json silences)" '"ended_by":"dana"' 'by whom is kept'
log '3 minutes' unsilence 1
is_status 0 'again is a no-op'
like "$(cat err)" 'over already' 'that is said'
log '3 minutes' unsilence 77
is_status 65 'no such silence'
log '3 minutes' unsilence backup
is_status 65 'it goes by its number'
log '4 minutes' --dry-run silence backup --for 2h --because tape
is "$(sed 1d out | wc -l)" 1 'a rehearsal shows it'
is "$(sql 'SELECT count(*) FROM silences')" 1 'and leaves nothing'

# What was told before.
fresh
raise '0 minutes' -s critical --key backup 'Backup failed'
log '1 minute' silence backup --for 2h --because tape
raise '2 minutes' -s critical --key backup 'Backup failed'
deliver '5 minutes'
deliver '122 minutes'
is "$(grep -c . requests)" 2 'an occurrence that nobody would hear of is not kept'
run automate-alert --now "$(after '123 minutes')" --resolve backup
is "$(said /sms)" \
	'automate: CRITICAL: Backup failed;automate: Resolved: Backup failed;' \
	'its end is told where it was heard'
fresh
raise '0 minutes' -k a.b --key one One
raise '0 minutes' -k a.b --key two Two
raise '0 minutes' -k a.b --key three Three
log '1 minute' silence two --for 1h --because 'two is known'
deliver '10 minutes'
is "$(said /slack-alerts)" 'Error: One;Error: Three;' \
	'what waits to be sent is taken back'
run automate-alert --now "$(after '20 minutes')" --resolve two
deliver '30 minutes'
deliver '70 minutes'
is "$(grep -c . requests)" 2 'what nobody heard of ends unheard'
fresh
script '/slack-alerts 500' '/sms 500'
raise '0 minutes' -s critical --key fire 'On fire'
log '1 minute' silence fire --for 1h --because 'a drill'
script
deliver '10 minutes'
is "$(grep -c . requests)" 2 'nor is it tried again'
raise '11 minutes' --key fire 'On fire'
log '12 minutes' ack 1
deliver '62 minutes'
is "$(grep -c . requests)" 2 'what somebody took on meanwhile is not told'

fresh
script '/slack-alerts 400 body=invalid_payload' '/sms 400 body=no'
raise '0 minutes' -s critical --key fire 'On fire'
log '1 minute' silence fire --for 1h --because 'a drill'
deliver '10 minutes'
is "$(grep /mail requests | grep -c 'On fire')" 0 \
	'what arrived nowhere does not look for another channel'
deliver '62 minutes'
is "$(grep /mail requests | grep -c 'On fire')" 1 'before the end'

# Two of them: the later end counts.
fresh
log '0 minutes' silence backup --for 1h --because tape
log '0 minutes' silence a.b --for 2h --because 'all of it'
raise '1 minute' -k a.b --key backup 'Backup failed'
deliver '61 minutes'
deliver '119 minutes'
is "$(cat requests)" '' 'one of two is over: nothing yet'
deliver '121 minutes'
is "$(said /slack-alerts)" 'Error: Backup failed;' 'both are: it is told'

# What follows from another alert. The mail webhook is gone, and mail is late.
fresh
script '/mail 410'
echo '{"id":"o1","name":"o1","owner_email":"a@b.example"}' |
	automate-onboard --now "$(after '0 minutes')" --later >out 2>&1
deliver '1 minute'
deliver '16 minutes'
is "$(said /slack-alerts)" 'Error: A destination was stopped: mail;' \
	'a stopped destination is late, which is not told'
log '17 minutes' --json list --kind delivery.late
is "$(json out '$.state') $(json out '$.parent')" 'suppressed 1' \
	'but recorded, with what it follows from'
deliver '100 minutes'
is "$(grep -c slack-alerts requests)" 1 'not as long as the other stands'
deliver '121 minutes'
is "$(said /slack-alerts | sed 's/.*mail;C/C/')" \
	'CRITICAL: Deliveries are late: mail (2 times);' 'what is worse is told'

fresh
script '/mail 410'
echo '{"id":"o1","name":"o1","owner_email":"a@b.example"}' |
	automate-onboard --now "$(after '0 minutes')" --later >out 2>&1
deliver '1 minute'
deliver '16 minutes'
script
automate-deliver --now "$(after '17 minutes')" release mail
deliver '18 minutes'
deliver '90 minutes'
is "$(said /slack-alerts)" \
	'Error: A destination was stopped: mail;Resolved: A destination was stopped: mail;' \
	'what ends with the other is never told'

# Slack is gone as it is to say that a destination is.
fresh
script '/slack-alerts 410'
raise '0 minutes' -k delivery.dead --key mail 'Given up'
raise '1 minute' -k a.b --later 'Something'
deliver '2 minutes'
deliver '18 minutes'
like "$(said /sms)" 'Warning: Deliveries are late: slack.alerts' \
	'what follows from an alert that nobody could be told of is told'

fresh
raise '0 minutes' -k dunning.stripe_unreachable 'Stripe does not answer'
raise '1 minute' -k usage.stripe_unreachable 'No answer'
raise '2 minutes' -k usage.drift 'Drift'
is "$(said /slack-alerts | tr ';' '\n' | sed 1d)" \
	'Error: Drift' \
	'Stripe is down: told once; money that is missing all the same'
run automate-alert --now "$(after '10 minutes')" \
	--resolve dunning.stripe_unreachable
deliver '11 minutes'
deliver '69 minutes'
unlike "$(said /slack-alerts)" 'No answer' \
	'what followed has an hour to end by itself'
deliver '72 minutes'
like "$(said /slack-alerts)" 'Warning: No answer;$' \
	'then it is told'
deliver '80 minutes'
is "$(said /slack-alerts | grep -o 'No answer' | wc -l)" 1 'once'
done_testing
