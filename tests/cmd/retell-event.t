#!/bin/sh
# Retell's events through the command: whose call it was, whether it failed, in
# whatever order and however often they come.
. "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2119 # no options
start_httpd
config
cat >>automate.yaml <<-END
	retell:
	  api_key: key_one
	  webhook_key: key_old key_new
END
data=$TOP/tests/data/retell
ORG=0b9f6c1e-8a3d-4f57-9d0e-3c1f5a7e2b10
LEAD=aa11bb22-cc33-4d44-8e55-ff6677889900

take() {
	run automate-retell-event --unsigned --later
}
of_call() { # CALL COLUMNS
	sql "SELECT $2 FROM calls WHERE call_id = '$1'"
}
lead_status() {
	sql "SELECT status FROM leads WHERE id = '$1'"
}

# fresh: nothing there but the customer.
fresh() {
	rm -f automate.db*
	echo "{\"id\":\"$ORG\",\"name\":\"Harbor\",\"owner_email\":\"a@b.example\"}" |
		automate-onboard --later >out 2>&1
}

# The story of the fixtures, as it happened.
fresh
for name in call_started call_ended-success-agent_hangup call_analyzed-success; do
	cat "$data/$name.json"
	echo
done >story
take <story
is_status 0 'the fixtures are taken'
is "$(grep -c '"outcome":"recorded"' out)" 3 'and recorded'
is "$(of_call call_ok0000000000000000000000001 "state || ' ' || connected || ' ' || disconnection_reason || ' ' || duration_ms || ' ' || datetime(placed_at, 'unixepoch') || ' ' || organization_id || ' ' || lead_id")" \
	"ended 1 agent_hangup 68231 2026-10-01 16:00:00 $ORG $LEAD" 'one call, whose and when'
is "$(lead_status $LEAD)" contacted 'the lead was contacted'
is "$(sql 'SELECT count(*) FROM system_alerts')" 0 'and nobody is told'
take <story
is "$(grep -c '"outcome":"duplicate"' out)" 3 'all again: nothing'
is "$(sql 'SELECT count(*) FROM calls')" 1 'and no other call'

# Every failure there is: the lead, and one alert of two events.
while read -r name severity; do
	fresh
	body=$data/call_ended-failure-$name.json
	take <"$body"
	is_status 0 "$name: taken"
	sed 's/call_ended/call_analyzed/' "$body" >again
	take <again
	is "$(sql "SELECT kind || ' ' || severity || ' ' || count || ' ' || lead_id || ' ' || organization_id FROM system_alerts")" \
		"call.failed $severity 1 $LEAD $ORG" "$name: one alert"
	like "$(sql 'SELECT message FROM system_alerts')" "$name" "$name: it says why"
	is "$(lead_status $LEAD)" call_failed "$name: the lead"
	is "$(sql "SELECT state || ' ' || disconnection_reason || ' ' || (placed_at > 0) FROM calls")" \
		"failed $name 1" "$name: the call"
done <<-END
	dial_no_answer warning
	dial_busy warning
	invalid_destination warning
	dial_failed error
	concurrency_limit_reached error
	error_llm_websocket_open error
	no_valid_payment critical
	telephony_provider_permission_denied critical
END
is "$(sql "SELECT group_concat(destination, ' ') FROM (SELECT DISTINCT destination FROM deliveries WHERE step = 'alert' ORDER BY 1)")" \
	'slack.alerts sms' 'the critical are an SMS too'
is "$(sql "SELECT count(*) FROM calls WHERE connected")" 0 'no_valid_payment: nobody answered'

# The third that breaks off at Retell within the hour is critical.
fresh
for n in 1 2 3; do
	sed "s/call_fa0*9/call_b$n/g" "$data/call_ended-failure-error_llm_websocket_open.json"
	echo
done >in
take <in
is "$(sql "SELECT group_concat(severity, ' ') FROM (SELECT severity FROM system_alerts ORDER BY id)")" \
	'error error critical' 'the third of its kind is critical'

# event KIND CALL REST: one on a line, of lead l1.
event() {
	printf '%s\n' "{\"event\":\"$1\",\"call\":{\"call_id\":\"$2\",\"call_type\":\"phone_call\",\"direction\":\"outbound\",\"from_number\":\"+14155550100\",\"to_number\":\"+14155550199\",$3}}"
}
ours='"metadata":{"automate_key":"call:l1:1","lead_id":"l1","organization_id":"'$ORG'"}'
well='"call_status":"ended","disconnection_reason":"user_hangup","start_timestamp":1790870400000,"end_timestamp":1790870460000,"duration_ms":60000'
ill='"call_status":"not_connected","disconnection_reason":"dial_busy","start_timestamp":1790870400000,"end_timestamp":1790870460000'
begun='"call_status":"ongoing","start_timestamp":1790870400000'

# Any order ends the same.
ends() { # EVENTS...
	fresh
	for name in "$@"; do
		cat "$name"
	done | automate-retell-event --unsigned --later >out 2>err
	sql "SELECT state || ',' || connected || ',' || placed_at || ',' || ended_at || ',' || coalesce(duration_ms, 0) || ',' || disconnection_reason || ',' || (SELECT status FROM leads) || ',' || (SELECT count(*) FROM system_alerts WHERE resolved_at IS NULL) FROM calls"
}
event call_started call_1 "$begun,$ours" >s
event call_ended call_1 "$well,$ours" >e
event call_analyzed call_1 "$well,$ours" >a
for order in 's e a' 's a e' 'e s a' 'e a s' 'a s e' 'a e s' 'e a' 'a e' 'a' 's s e e a a'; do
	# shellcheck disable=SC2086 # a list
	is "$(ends $order)" \
		'ended,1,1790870400,1790870460,60000,user_hangup,contacted,0' "$order"
done
event call_ended call_1 "$ill,$ours" >e
event call_analyzed call_1 "$ill,$ours" >a
for order in 'e a' 'a e' 'a' 'e e a a'; do
	# shellcheck disable=SC2086 # a list
	is "$(ends $order)" \
		'failed,0,1790870400,1790870460,0,dial_busy,call_failed,1' "failed: $order"
done

# Whose it is: by number, and by nothing.
know() { # LEAD ORGANIZATION
	sqlite3 "$DB" "INSERT INTO leads (id, organization_id, phone, status, status_at, created_at) VALUES ('$1', '$2', '+14155550199', 'pending', 0, 0)"
}
fresh
know l1 "$ORG"
event call_ended call_1 "$well" >in
take <in
is "$(sql "SELECT organization_id || ' ' || lead_id FROM calls")" "$ORG l1" \
	'by the telephone number of the lead'
is "$(lead_status l1)" contacted 'whose status follows'
know l2 other
event call_ended call_2 "$well" >in
take <in
is "$(sql "SELECT coalesce(organization_id, '-') || ' ' || coalesce(lead_id, '-') FROM calls WHERE call_id = 'call_2'")" \
	'- -' 'a number of two customers decides nothing'
like "$(cat out)" '"flag":"unattributed"' 'and that is said'
event call_analyzed call_2 "$well,$ours" >in
take <in
is "$(of_call call_2 organization_id)" "$ORG" 'a later event may still tell'
event call_analyzed call_1 "$well,\"metadata\":{\"organization_id\":\"other\"}" >in
take <in
is "$(of_call call_1 organization_id)" "$ORG" 'but what is known stays'

# A lead whose row comes after its calls.
fresh
event call_ended call_1 "$well,\"metadata\":{\"lead_id\":\"l1\"}" >in
take <in
like "$(cat out)" '"flag":"unattributed"' 'a lead that nobody has told of'
echo "{\"id\":\"l1\",\"organization_id\":\"$ORG\"}" >in
run automate-call --later <in
is "$(of_call call_1 organization_id)" "$ORG" 'has its calls when it comes'

# The day that is billed never changes.
fresh
event call_ended call_1 '"call_status":"ended"' >in
run automate-retell-event --unsigned --later --now 2026-10-02T00:00:10Z <in
event call_analyzed call_1 "$well" >in
take <in
is "$(of_call call_1 "date(placed_at, 'unixepoch')")" 2026-10-02 \
	'the day stays what it was at first'

# A megabyte of transcript is kept once.
fresh
awk 'BEGIN { for (i = 0; i < 20000; i++) printf "Agent: line %d, and fifty characters\\nUser: yes.\\n", i }' >words
long="\"transcript\":\"$(cat words)\",\"transcript_object\":[{\"role\":\"agent\",\"content\":\"$(cat words)\"}]"
event call_ended call_1 "$well,$ours,$long" >e
event call_analyzed call_1 "$well,$ours,$long,\"call_analysis\":{\"call_summary\":\"A visit is booked.\"}" >a
cat e a >in
take <in
is_status 0 'two events of megabytes'
is "$(sql "SELECT group_concat(length(body) > 1000000, ' ') FROM (SELECT body FROM events WHERE source = 'retell' ORDER BY received_at, id DESC)")" \
	'1 0' 'one of them has it'
is "$(sql "SELECT e.kind || ' ' || (json_extract(e.body, '\$.call.transcript') LIKE '%line 19999,%') FROM calls c JOIN events e ON e.id = c.transcript_event_id")" \
	'call_ended 1' 'the call says which'
like "$(sql "SELECT body FROM events WHERE kind = 'call_analyzed'")" 'A visit is booked' \
	'the other is kept without'

# Events that are none of ours, and none at all.
printf '%s\n' '{"event":"transcript_updated","call":{"call_id":"call_1"}}' \
	'{"event":"chat_ended","chat":{"chat_id":"chat_1"}}' >in
take <in
is_status 0 'other events are no error'
is "$(cat out)" '{"event":null,"type":"transcript_updated","outcome":"ignored"}
{"event":null,"type":"chat_ended","outcome":"ignored"}' 'and ignored'
printf '%s\n' '{"event":"call_ended","call":{}}' '{"call":{"call_id":"x"}}' 'no' >in
take <in
is_status 65 'no event of Retell'
is "$(grep -c refused out)" 3 'is refused'

# Signed: over the very bytes.
fresh
body=$data/call_started.json
run automate-retell-event --later <"$body"
is_status 77 'no signature'
is "$(cat out)" '' 'nothing acknowledged'
run automate-retell-event --later -s "$(sign retell key_new <"$body")" <"$body"
is_status 0 'a signature'
like "$(cat out)" '"secret":2' 'and which key made it'
run env HTTP_X_RETELL_SIGNATURE="$(sign retell key_old <"$body")" \
	automate-retell-event --later <"$body"
is_status 0 'in the environment'
like "$(cat out)" '"outcome":"duplicate"' 'the same event'
body=$data/call_ended-success-agent_hangup.json
run automate-retell-event --later -s "$(sign retell key_one <"$body")" <"$body"
is_status 77 'where there is a webhook key the API key is none'
sed '/webhook_key/d' automate.yaml >one.yaml
run automate-retell-event -c one.yaml --later -s "$(sign retell key_one <"$body")" <"$body"
is_status 0 'else it is'
{ cat "$body"; echo; } >forged
run automate-retell-event --later -s "$(sign retell key_new <"$body")" <forged
is_status 77 'one byte more'
run automate-retell-event --later -s "$(sign retell key_new 1760000000000 <"$body")" <"$body"
is_status 77 'too old'
run automate-retell-event --later -s '' <"$body"
is_status 77 'an empty header'
unlike "$(cat err)" 'key_old|key_new' 'no key is said'
printf '{"event":"call_ended"}' >body
run automate-retell-event --later --now 2025-10-09T08:53:20Z -c one.yaml \
	-s 'v=1760000000000,d=f385e13541b5dc4f20db84304f2e30ff2b7b674aec011176aa8030778043d471' <body
is_status 77 'another key'
sed 's/key_one/key_test_retell_0123456789/' one.yaml >known.yaml
run automate-retell-event --later --now 2025-10-09T08:53:20Z -c known.yaml \
	-s 'v=1760000000000,d=f385e13541b5dc4f20db84304f2e30ff2b7b674aec011176aa8030778043d471' <body
is_status 65 "the vendor's known answer passes, and is then no whole event"
run env GATEWAY_INTERFACE=CGI/1.1 automate-retell-event --unsigned --later <body
is_status 77 'behind a web server nothing goes unsigned'
if command -v ldd >/dev/null; then
	unlike "$(ldd "$BUILD/automate-retell-event")" libcurl 'what receives brings no HTTP along'
fi
done_testing
