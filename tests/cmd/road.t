#!/bin/sh
# The road: an organization or an alert in, what the receivers got, and nothing
# twice.
. "$(dirname "$0")/../lib.sh"

outcome() {
	sed 's/.*"outcome":"\([a-z]*\)".*/\1/'
}

# shellcheck disable=SC2119 # no options
start_httpd
config
printf '%s\n' '/slack-customers 500 body=oops' '/slack-customers 200 body=ok' \
	>script

body=$TOP/tests/data/supabase/organizations-insert-pro.json
run automate-onboard <"$body"
is_status 0 'an organization is taken'
is "$(outcome <out)" recorded 'it is recorded'
like "$(cat out)" 'https://app.example.com/onboarding\?organization=c7e1a2b4' \
	'the redirect is in the result'
is "$(requests /mail)" 1 'one mail went out'
is "$(requests /slack-customers)" 1 'Slack was tried'
like "$(cat err)" 'mail welcome: delivered' 'delivery is reported'
like "$(cat err)" 'slack.customers new_customer: postponed' 'and so is trouble'
is "$(sql "SELECT count(*) FROM deliveries WHERE state='queued' AND step LIKE 'day_%'")" \
	3 'three follow-ups wait'

run automate-onboard <"$body"
is "$(outcome <out)" duplicate 'the same again is a duplicate'
like "$(cat out)" 'organization=c7e1a2b4' 'with the same redirect'
is "$(requests /mail)" 1 'and sends nothing'

run automate-deliver --now "$(date -u -d '+1 minute' +%Y-%m-%dT%H:%M:%SZ)"
is_status 0 'the retry finds the receiver well'
is "$(requests /slack-customers)" 2 'Slack got it on the second try'
run automate-deliver --now "$(date -u -d '+3 days 1 hour' +%Y-%m-%dT%H:%M:%SZ)"
is "$(requests /mail)" 3 'two follow-ups went on their days'

run automate-alert -s critical -k backup.failed 'nightly backup failed' <"$body"
is_status 0 'an alert by words'
is "$(requests /slack-alerts)" 1 'is in Slack'
is "$(requests /sms)" 1 'and is a text message'
run automate-alert -s critical -k backup.failed 'nightly backup failed' </dev/null
is "$(requests /slack-alerts)" 1 'again soon: counted, not said'
is "$(sql "SELECT count FROM system_alerts WHERE kind='backup.failed'")" 2 'counted'
run automate-alert --later -s info -k backup.failed 'backup is late' </dev/null
is "$(sql "SELECT severity FROM system_alerts WHERE kind='backup.failed'")" \
	critical 'a milder report does not make it milder'
run automate-alert --resolve backup.failed
is "$(requests /slack-alerts)" 2 'the end is said in Slack'
is "$(requests /sms)" 2 'and by text message'

i=0
while [ $i -lt 40 ]; do
	i=$((i + 1))
	echo "{\"leadId\":\"lead_$i\",\"organizationId\":\"org_1\",\"error\":\"no\",\"retellResponse\":{\"status\":500}}"
done >storm
run automate-alert <storm
is_status 0 'a storm of 40 is taken'
is "$(requests /slack-alerts)" 3 'it is one Slack message'
is "$(requests /sms)" 3 'and one text message'
like "$(grep slack-alerts requests | tail -1)" '40 x call.failed' 'with the count'
is "$(sql "SELECT count(*) FROM leads WHERE status='call_failed'")" 40 \
	'every lead has its status'

# Eight at once.
sed 's/c7e1a2b4/c8e1a2b4/;s/cus_Qx/cus_Rx/' "$body" >other
for n in 1 2 3 4 5 6 7 8; do
	(automate-onboard <other >"out.$n" 2>"err.$n"; echo $? >"status.$n") &
	eight="${eight:-} $!"
done
# shellcheck disable=SC2086 # a list
wait $eight
is "$(cat status.? | tr -d '\n')" 00000000 'eight at once all succeed'
is "$(cat out.? | grep -c recorded)" 1 'one of them records'
is "$(cat out.? | sed 's/.*"redirect"//' | sort -u | grep -c .)" 1 \
	'all print the same redirect'
is "$(grep -c c8e1a2b4 requests)" 2 'one mail, one Slack post'

# A deletion ends the follow-ups.
echo '{"type":"DELETE","table":"organizations","record":null,"old_record":{"id":"c7e1a2b4-55d0-4e0f-8b1a-0f9d6e4c2a77"}}' |
	run automate-onboard
is "$(outcome <out)" ignored 'a deletion starts nothing'
is "$(sql "SELECT count(*) FROM deliveries WHERE state='cancelled'")" 1 \
	'and ends the follow-ups that wait'
done_testing
