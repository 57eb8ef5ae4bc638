#!/bin/sh
# Placing calls: who may be called, what Retell answers, what becomes of a lead
# then, and how often it is dialled: once.
. "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2119 # no options
start_httpd
config
cat >>automate.yaml <<-END
	retell:
	  api_key: key_one
	  from_number: "+14155550100"
	  agent_id: agent_7
	  api_base: $URL
	  timeout: 1s
END
data=$TOP/tests/data/retell
ORDER=/v2/create-phone-call
LIST=/v3/list-calls

# answer PATH STATUS FILE: a line of the script, with that body.
answer() {
	printf '%s %s body=%s\n' "$1" "$2" "$(sed 's/\\/\\\\/g' "$data/$3")"
}
dials() {
	requests $ORDER
}
of_lead() {
	sql "SELECT status FROM leads WHERE id = '$1'"
}
of_call() { # LEAD
	sql "SELECT state || ' ' || coalesce(call_id, '-') || ' ' || (placed_at IS NOT NULL) || ' ' || coalesce(disconnection_reason, '-') FROM calls WHERE lead_id = '$1' ORDER BY created_at DESC, id DESC LIMIT 1"
}
alert_of() { # LEAD
	sql "SELECT group_concat(kind || ' ' || severity || ' ' || message, char(10)) FROM (SELECT * FROM system_alerts WHERE lead_id = '$1' AND resolved_at IS NULL ORDER BY id)"
}
lead() { # ID [MEMBERS]
	printf '%s\n' "{\"id\":\"$1\",\"organization_id\":\"org_1\",\"name\":\"Sam\",\"phone\":\"+14155550199\",\"created_at\":\"2026-01-01T00:00:00Z\"${2:+,$2}}"
}
fresh() {
	rm -f automate.db*
	: >requests
	echo '{"id":"org_1","name":"Harbor","owner_email":"a@b.example"}' |
		automate-onboard --later >out 2>&1
}
placed=$(answer $ORDER 201 create-phone-call-201.json)
none=$LIST' 200 body={"items":[],"has_more":false}'
found() { # KEY [STATUS]
	printf '%s\n' "$LIST 200 body={\"items\":[{\"call_id\":\"call_found\",\"call_status\":\"${2:-registered}\",\"start_timestamp\":1790870400000,\"metadata\":{\"automate_key\":\"$1\",\"lead_id\":\"l1\",\"organization_id\":\"org_1\"}}],\"has_more\":false}"
}

# A lead comes in, waits, and is called.
fresh
script "$placed"
lead l1 '"status":"pending"' | sed 's/"created_at":"[^"]*"/"created_at":"2026-10-05T14:00:00Z"/' >record
echo "{\"type\":\"INSERT\",\"table\":\"leads\",\"schema\":\"public\",\"record\":$(cat record),\"old_record\":null}" >in
run automate-call --now 2026-10-05T14:00:01Z <in
is_status 0 'a lead that just came in'
is "$(json out $.outcome) $(json out $.due_at)" 'not_due 2026-10-05T14:05:00Z' 'is not due'
is "$(dials)" 0 'and not dialled'
run automate-call -n --now 2026-10-05T14:05:00Z l1
is "$(json out $.outcome) $(dials) $(of_lead l1)" 'claimed 0 pending' 'a rehearsal changes nothing'
run automate-call --now 2026-10-05T14:05:00Z l1
is_status 0 'when it is due'
is "$(json out $.outcome) $(json out $.lead_status) $(json out $.call)" \
	'placed ai_triggered call_ok0000000000000000000000001' 'it is called'
is "$(of_call l1)" 'placed call_ok0000000000000000000000001 1 -' 'and the call is there'
is "$(sql "SELECT strftime('%Y-%m-%d %H:%M', placed_at, 'unixepoch') || ' ' || organization_id FROM calls")" \
	'2026-10-05 14:05 org_1' 'to be billed to whom, and on which day'
is "$(sed 's/.*"authorization":"\([^"]*\)".*/\1/' requests)" 'Bearer key_one' 'with the key'
is "$(request 1 $.body)" '{"from_number":"+14155550100","to_number":"+14155550199","override_agent_id":"agent_7","metadata":{"automate_key":"call:l1:1","lead_id":"l1","organization_id":"org_1"},"retell_llm_dynamic_variables":{"lead_id":"l1","organization_id":"org_1","customer_name":"Sam","company_name":"Harbor"}}' \
	'what Retell is asked for'
run automate-call --force l1
is "$(json out $.outcome) $(dials)" 'already_processed 1' 'and never again'
run automate-call <in
is "$(json out $.outcome) $(dials)" 'already_processed 1' 'nor when its row comes again'
run automate-log why l1
like "$(cat out)" 'call:l1:1:placed' 'its history'

# Obstacles, each with its name and nothing sent.
for state in downgraded canceled; do
	sqlite3 "$DB" "UPDATE organizations SET status = '$state'"
	lead "l_$state" >in
	run automate-call <in
	is "$(json out $.outcome) $(of_lead "l_$state")" \
		'organization_inactive pending' "an organization that is $state"
done
lead l_nobody | sed 's/org_1/org_2/' >in
run automate-call <in
is "$(json out $.outcome)" organization_inactive 'one that nobody knows'
sqlite3 "$DB" "UPDATE organizations SET status = 'past_due'"
lead l_phone | sed 's/+1415/415/' >in
run automate-call --force <in
is "$(json out $.outcome)" bad_number 'no number of E.164'
lead l_future | sed 's/2026-01-01/2099-01-01/' >in
run automate-call <in
is "$(json out $.outcome)" not_due 'one from the future'
is "$(dials)" 1 'none of them is dialled'
lead l_due | sed 's/+14155550199/+1 (415) 555-0199/' >in
run automate-call <in
is "$(json out $.outcome)" placed 'past due may call, and a number as people type it'
run automate-call nobody
is_status 65 'an order for a lead that nobody knows'
like "$(cat err)" 'lead "nobody" is not known' 'says so'
{
	echo no
	lead l_batch
	echo '{"type":"INSERT","table":"organizations","record":{"id":"x"}}'
} >in
run automate-call <in
is_status 65 'a batch ends with the worst'
is "$(sed 's/.*"outcome":"\([a-z]*\)".*/\1/' out | tr '\n' ' ')" 'refused placed ignored ' \
	'and goes on past it'

# errors: what Retell may answer, with the status of the command, what is known
# of the call, how bad it is, and how often Retell is asked for the call.
case_of() { # NAME STATUS CALL SEVERITY DIALS WORDS
	run automate-call "$1"
	is_status "$2" "$1: status"
	is "$(of_lead "$1")" call_failed "$1: the lead"
	is "$(of_call "$1")" "$3" "$1: the call"
	like "$(alert_of "$1")" "^call\.(failed|unknown) $4 .*$6" "$1: the alert"
	is "$(alert_of "$1" | grep -c .)" 1 "$1: one alert"
	is "$(dials)" "$5" "$1: dialled"
	like "$(cat err)" "lead $1: .*$6.*automate-log why $1" "$1: what is said"
	automate-call --force "$1" >out 2>&1
	is "$(dials)" "$5" "$1: never again"
}
try() { # NAME ... RULES
	fresh
	lead "$1" '"status":"hold"' | automate-call >out 2>&1
	sqlite3 "$DB" "UPDATE leads SET status = 'pending'"
	try_name=$1 try_status=$2 try_call=$3 try_severity=$4 try_dials=$5 try_words=$6
	shift 6
	script "$@" "$none"
	case_of "$try_name" "$try_status" "$try_call" "$try_severity" "$try_dials" "$try_words"
}
try r400 69 'failed - 0 http_400' error 1 'Invalid request format' "$(answer $ORDER 400 create-phone-call-400.json)"
try r401 69 'failed - 0 http_401' critical 1 'API key is missing' "$(answer $ORDER 401 create-phone-call-401.json)"
try r402 69 'failed - 0 http_402' critical 1 'Trial has ended' "$(answer $ORDER 402 create-phone-call-402.json)"
is "$(sql "SELECT group_concat(destination, ' ') FROM (SELECT destination FROM deliveries WHERE step = 'alert' ORDER BY 1)")" \
	'slack.alerts sms' 'Slack hears of it at once, and the telephone'
is "$(requests /slack-alerts) $(requests /sms)" '1 1' 'by the command itself'
try r404 69 'failed - 0 http_404' critical 1 'not found from phone-number' "$(answer $ORDER 404 create-phone-call-404-from_number.json)"
try r422 69 'failed - 0 http_422' error 1 'Cannot find requested asset' "$(answer $ORDER 422 create-phone-call-422.json)"
try r429 75 'failed - 0 http_429' error 3 'rate limited' "$(answer $ORDER 429 create-phone-call-429.json)"
try r429_long 75 'failed - 0 http_429' error 1 'rate limited' "$ORDER 429 header=Retry-After:31 body={\"message\":\"Account rate limited\"}"
try r500 75 'claimed - 0 -' critical 1 'unexpected server error' "$(answer $ORDER 500 create-phone-call-500.json)"
is "$(requests $LIST)" 3 'r500: looked for, a few times'
try r502 75 'claimed - 0 -' critical 1 502 "$ORDER 502 header=Content-Type:text/html body=<html><h1>502 Bad Gateway</h1></html>"
try r503 75 'claimed - 0 -' critical 1 503 "$ORDER 503"
try r201_without 75 'claimed - 0 -' error 1 'without a call_id' "$ORDER 201 body={\"call_status\":\"registered\"}"
try r201_error 69 'failed call_x 0 no_valid_payment' critical 1 no_valid_payment "$ORDER 201 body={\"call_id\":\"call_x\",\"call_status\":\"error\",\"disconnection_reason\":\"no_valid_payment\"}"
try hang 75 'claimed - 0 -' error 1 . "$ORDER 201 hang"
try closed 75 'claimed - 0 -' error 1 . "$ORDER 201 close=before"
try half 75 'claimed - 0 -' error 1 . "$(answer $ORDER 201 create-phone-call-201.json | sed 's/ body/ close=mid body/')"
sed "s|$URL|http://127.0.0.1:1|" automate.yaml >nobody.yaml
sed -i "s|http://127.0.0.1:1/|$URL/|" nobody.yaml
AUTOMATE_CONFIG=$SCRATCH/nobody.yaml
try refused 75 'failed - 0 unreachable' critical 0 .
AUTOMATE_CONFIG=$SCRATCH/automate.yaml

# Busy for a moment only.
fresh
script "$ORDER 429" "$placed"
lead l1 >in
run automate-call <in
is "$(json out $.outcome) $(dials)" 'placed 2' 'too many requests, then not'

# It was placed all the same: found by its key, not dialled again.
fresh
script "$ORDER 500" "$(found call:l1:1)"
lead l1 >in
run automate-call <in
is_status 0 'an error, and yet a call'
is "$(json out $.outcome) $(dials)" 'placed 1' 'is found, not dialled again'
is "$(of_call l1) $(of_lead l1)" 'placed call_found 1 - ai_triggered' 'and known'
is "$(alert_of l1)" '' 'nobody is told'
is "$(request 2 $.body)" '{"filter_criteria":{"metadata":[{"type":"string","op":"eq","key":"automate_key","value":"call:l1:1"}]},"limit":10}' \
	'how it is looked for'

# Another's call is none of ours.
fresh
script "$ORDER 500" "$(found call:other:1)"
lead l1 >in
run automate-call <in
is_status 75 'another call in the list'
is "$(of_call l1)" 'claimed - 0 -' 'is not taken for it'

# In doubt, until the sweep asks.
doubt() {
	fresh
	script "$ORDER 500" "$none"
	lead l1 | automate-call --now 2026-10-05T14:05:00Z >out 2>&1
}
doubt
run automate-call --again --now 2026-10-05T14:05:30Z l1
is "$(json out $.outcome) $(dials)" 'already_processed 1' 'in doubt nobody is dialled again, whoever asks'
run automate-call --sweep --now 2026-10-05T14:05:30Z
is "$(cat out)" '' 'while the request might be under way nobody asks'
run automate-call --sweep --now 2026-10-05T14:30:00Z
is_status 0 'the sweep asks'
is "$(json out $.outcome) $(of_call l1)" 'failed failed - 0 absent' 'it was not placed'
like "$(alert_of l1)" '^call.failed error The call was not placed' 'and that is told'
is "$(sql "SELECT status || ' ' || summary FROM runs WHERE command = 'sweep' ORDER BY id DESC LIMIT 1")" \
	'0 {"asked":1,"unanswered":0,"due":0,"called":0}' 'the run is written down'
run automate-call --sweep --now 2026-10-05T15:30:00Z
is "$(cat out)$(cat err)" '' 'once'
printf 'cron:\n  ping_sweep: %s/ping\n' "$URL" | cat automate.yaml - >ping.yaml
run automate-call -c ping.yaml --sweep
is "$(requests /ping/start) $(requests /ping)" '1 1' 'who watches hears that it ran'
script "$placed"
run automate-call --again --now 2026-10-05T15:30:00Z l1
is "$(json out $.outcome) $(json out $.key) $(dials)" 'placed call:l1:2 2' 'now it may be called again, by hand'

doubt
script "$(found call:l1:1)"
run automate-call --sweep --now 2026-10-05T14:30:00Z
is "$(json out $.outcome) $(of_call l1) $(of_lead l1)" \
	'placed placed call_found 1 - ai_triggered' 'it was placed: found'
is "$(alert_of l1)" '' 'and what was told is over'

doubt
script "$(found call:l1:1 ended)"
run automate-call --sweep --now 2026-10-05T14:30:00Z
is "$(of_call l1) $(of_lead l1)" 'ended call_found 1 - contacted' 'it is over already'
is "$(sql "SELECT datetime(placed_at, 'unixepoch') FROM calls")" '2026-10-01 16:00:00' \
	'billed on the day it began'

doubt
script "$LIST 503"
run automate-call --sweep --now 2026-10-05T14:30:00Z
is_status 75 'Retell does not answer the sweep'
is "$(of_call l1)" 'claimed - 0 -' 'so nothing is known'
is "$(alert_of l1 | grep -c .)" 1 'and nothing is told twice'
script "$LIST 200 body={\"items\":[{\"call_id\":\"call_x\"}]}"
run automate-call --sweep --now 2026-10-05T14:45:00Z
is_status 75 'nor is an answer that is none taken for none'
is "$(dials)" 1 'nobody is dialled'

# The event comes first, or alone.
doubt
echo '{"event":"call_ended","call":{"call_id":"call_9","call_status":"ended","disconnection_reason":"user_hangup","start_timestamp":1791209105000,"end_timestamp":1791209200000,"metadata":{"automate_key":"call:l1:1","lead_id":"l1","organization_id":"org_1"}}}' |
	automate-retell-event --unsigned --later --now 2026-10-05T14:10:00Z >out 2>&1
is "$(of_call l1) $(of_lead l1)" 'ended call_9 1 user_hangup contacted' \
	'the event of a call in doubt is of that call'
is "$(sql 'SELECT count(*) FROM calls') $(alert_of l1)" '1 ' 'which is in doubt no more'

# Silence: placed, and no end.
silent() { # ANSWER
	fresh
	script "$placed" "/v2/get-call/call_ok0000000000000000000000001 $1"
	lead l1 | automate-call --now 2026-10-05T14:05:00Z >out 2>&1
	run automate-call --sweep --now 2026-10-05T16:00:00Z
	is "$(cat out)" '' 'a call has two hours'
	run automate-call --sweep --now 2026-10-05T16:06:00Z
}
silent '200 body={"call_id":"call_ok0000000000000000000000001","call_status":"ended","disconnection_reason":"user_hangup","transcript":"Agent: Hi","end_timestamp":1791209200000}'
is_status 0 'then Retell is asked'
is "$(of_call l1) $(of_lead l1)" 'ended call_ok0000000000000000000000001 1 user_hangup contacted' \
	'and says that it is over'
sed 's/call_ended/&/' "$data/call_ended-success-agent_hangup.json" >in
run automate-retell-event --unsigned --later <in
is "$(json out $.outcome)" duplicate 'its event, should it still come, is one'
silent '200 body={"call_id":"call_ok0000000000000000000000001","call_status":"registered"}'
is "$(json out $.outcome) $(of_lead l1)" 'silent call_failed' 'it never began'
like "$(alert_of l1)" '^call.silent error .*registered' 'that is told'
silent '200 body={"call_id":"call_ok0000000000000000000000001","call_status":"ongoing"}'
is "$(json out $.outcome) $(of_lead l1)" 'silent ai_triggered' 'it goes on'
run automate-call --sweep --now 2026-10-05T16:07:00Z
is "$(cat out)" '' 'nobody asks every minute'
run automate-call --sweep --now 2026-10-05T16:20:00Z
is "$(json out $.outcome)" duplicate 'later again'
is "$(alert_of l1 | grep -c .)" 1 'told once'
silent '422 body={"status":"error","message":"Cannot find requested asset"}'
is "$(json out $.outcome) $(of_call l1)" 'failed failed call_ok0000000000000000000000001 1 absent' \
	'Retell does not know it'
silent '503'
is_status 75 'Retell says nothing'
is "$(json out $.outcome)" silent 'that is told'

# Who waits, and calling them.
fresh
script "$placed" "$(answer /get-concurrency 200 get-concurrency-200.json)"
sqlite3 "$DB" "INSERT INTO organizations (id, status, status_at, created_at) VALUES ('org_2', 'canceled', 0, 0)"
{
	lead w1 | sed 's/00:00:00Z/00:00:01Z/'
	lead w2 | sed 's/00:00:00Z/00:00:02Z/'
	lead w_canceled | sed 's/org_1/org_2/'
	lead w_phone | sed 's/+14155550199/1/'
} | automate-call --now 2026-01-01T00:02:00Z >out 2>&1
lead w_early | sed 's/00:00:00Z/00:59:00Z/' |
	automate-call --now 2026-01-01T00:59:00Z >out 2>&1
run automate-call --list --now 2026-01-01T01:00:00Z
is "$(awk '{ print $3, $2, $4 }' out)" 'LEAD OUTCOME ORGANIZATION
w_canceled organization_inactive org_2
w_phone bad_number org_1
w1 due org_1
w2 due org_1
w_early not_due org_1' 'who waits, and for what'
run automate-call --list --json --now 2026-01-01T01:00:00Z
is "$(sed -n 3p out)" '{"lead":"w1","organization":"org_1","outcome":"due","due_at":"2026-01-01T00:05:01Z"}' \
	'the same for programs'
sed '/^retell:/,$d' automate.yaml >offline.yaml
run automate-call -c offline.yaml --list --now 2026-01-01T01:00:00Z
is "$status $(grep -c ' due ' out)" '0 2' 'without Retell, too'
run automate-call --sweep --now 2026-01-01T01:00:00Z
is "$(sed 's/.*"lead":"\([^"]*\)".*"outcome":"\([a-z]*\)".*/\1 \2/' out | tr '\n' ' ') $(dials)" \
	'w1 due w2 due  0' 'the sweep lists who is due'
run automate-call -n --sweep --call-due --now 2026-01-01T01:00:00Z
is "$(grep -c '"outcome":"claimed"' out) $(dials)" '2 0' 'and rehearses'
script "$placed" '/get-concurrency 200 body={"current_concurrency":18,"concurrency_limit":20,"reserved_inbound_concurrency":2}'
run automate-call --sweep --call-due --now 2026-01-01T01:00:00Z
is "$status $(cat out)$(dials)" '0 0' 'where all lines are taken nobody is called'
script "$ORDER 201 body={\"call_id\":\"call_a\",\"call_status\":\"registered\"}" '/get-concurrency 200 body={"current_concurrency":19,"concurrency_limit":20}'
run automate-call --sweep --call-due --now 2026-01-01T01:00:00Z
is "$(json out $.outcome) $(json out $.lead) $(dials)" 'placed w1 1' 'with one line left, one, the oldest'
script "$ORDER 201 body={\"call_id\":\"call_b\",\"call_status\":\"registered\"}" "$(answer /get-concurrency 200 get-concurrency-200.json)"
run automate-call --sweep --call-due --now 2026-01-01T01:00:30Z
is "$(grep -c . out) $(json out $.lead) $(dials)" '1 w2 2' 'the other in the next run'

# Trouble at Retell costs one lead, not all.
fresh
for n in 1 2 3; do
	lead "t$n" | sed 's/T00:00:00Z/T00:00:0'$n'Z/'
done | automate-call --now 2026-01-01T00:02:00Z >out 2>&1
script "$(answer $ORDER 402 create-phone-call-402.json)" "$(answer /get-concurrency 200 get-concurrency-200.json)"
run automate-call --sweep --call-due --now 2026-01-01T01:00:00Z
is_status 69 'a sweep into trouble'
is "$(dials) $(sql "SELECT group_concat(status, ' ') FROM (SELECT status FROM leads ORDER BY id)")" \
	'1 call_failed pending pending' 'stops at the first'
run automate-call --sweep --call-due --now 2026-01-01T01:01:00Z
is "$status $(dials)" '0 1' 'rests for a while'
like "$(cat err)" 'calls nobody until then' 'and says so'
run automate-call --sweep --call-due --now 2026-01-01T01:11:00Z
is "$(dials)" 2 'then tries again'
script '/get-concurrency 401 body={"status":"error","message":"API key is missing or invalid."}'
run automate-call --sweep --call-due --now 2026-01-01T01:30:00Z
is "$status $(dials)" '78 2' 'a key that is refused costs nobody'

# A lead that Retell could not dial is not dialled again.
fresh
script "$placed"
lead l1 | automate-call >out 2>&1
echo '{"event":"call_ended","call":{"call_id":"call_ok0000000000000000000000001","call_status":"not_connected","disconnection_reason":"invalid_destination","direction":"outbound","to_number":"+14155550199","metadata":{"automate_key":"call:l1:1","lead_id":"l1","organization_id":"org_1"}}}' |
	automate-retell-event --unsigned --later >out 2>&1
run automate-call --again l1
is "$(json out $.outcome) $(dials)" 'bad_number 1' 'a bad number is not dialled again'
lead l1 | sed 's/0199/0198/' >in
run automate-call --again <in
is "$(json out $.outcome)" placed 'another number is'

# Two at once.
fresh
script "$ORDER 201 delay=200 body={\"call_id\":\"call_1\",\"call_status\":\"registered\"}"
lead l1 >in
for n in 1 2 3 4; do
	automate-call <in >out.$n 2>err.$n &
done
wait
is "$(dials)" 1 'four at once dial once'
is "$(sed 's/.*"outcome":"\([a-z_]*\)".*/\1/' out.[1-4] | sort | tr '\n' ' ')" \
	'already_processed already_processed already_processed placed ' 'and know it'

# What is wrong with the configuration is said before anything is claimed.
fresh
sed '/from_number/d' automate.yaml >from.yaml
lead l1 >in
run automate-call -c from.yaml <in
is_status 78 'no number to call from'
is "$(sql 'SELECT count(*) FROM calls')" 0 'nothing is claimed'
run automate-call --call-due
is_status 64 '--call-due without --sweep'
run automate-call --sweep l1
is_status 64 '--sweep with a lead'
unlike "$(cat ./*.db-wal ./*.db ./out* ./err* | tr -d '\0')" key_one 'the key is nowhere'
done_testing
