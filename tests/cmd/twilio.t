#!/bin/sh
# Text messages through Twilio: the request to the letter, and what becomes of
# each answer. The token is in no output, no row, no log.
. "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2119 # no options
start_httpd
config
sid=AC0123456789abcdef0123456789abcdef
token=5ecre75ecre75ecre75ecre75ecre75e
sms=/2010-04-01/Accounts/$sid/Messages.json
sed '/^sms:/,$d' automate.yaml >without
cat without - >automate.yaml <<END
sms:
  provider: twilio
  to: "+15550100123"
  rate: unlimited
  twilio:
    account_sid: $sid
    auth_token: $token
    from: "+15550199888"
    api_base: $URL/
alerts:
  sms_per_day: 1000
END
sed 's/from: .*/from: MG0123456789abcdef0123456789abcdef/' automate.yaml >service.yaml
accepted="body={\"sid\":\"SM1\",\"status\":\"queued\",\"num_segments\":\"1\",\"error_code\":null,\"to\":\"+15550100123\"}"

# text KIND WORDS...: a critical alert, whose text message is due.
text() {
	text_kind=$1
	shift
	automate-alert --later -s critical -k "$text_kind" "$@" </dev/null >out 2>&1
}
# of KIND COLUMN: of its text message.
of() {
	sql "SELECT $2 FROM deliveries WHERE destination = 'sms' AND alert_kind = '$1' ORDER BY id LIMIT 1"
}
# field NUMBER NAME: of a form that was sent, decoded.
field() {
	request "$1" '$.body' | tr '&' '\n' | sed -n "s/^$2=//p" |
		sed 's/+/ /g;s/%/\\x/g' | xargs -0 printf '%b'
}

script "$sms 201 $accepted"
text first 'disk: 100% full & hot = "bad" + more'
run automate-deliver
is_status 0 'a text message is taken'
is "$(of first state)" "done" 'and done'
n=$(grep -n '"path":"/2010' requests | cut -d: -f1)
is "$(request "$n" '$.method') $(request "$n" '$.path')" "POST $sms" \
	'it goes to the account at twilio.api_base'
is "$(request "$n" '$.headers."content-type"')" \
	application/x-www-form-urlencoded 'as a form'
is "$(request "$n" '$.headers.authorization')" \
	"Basic $(printf %s "$sid:$token" | base64 | tr -d '\n')" \
	'with account and token'
is "$(request "$n" '$.body' | tr '&' '\n' | sed 's/=.*//' | tr '\n' ' ')" \
	'To From Body ' 'with these fields'
like "$(request "$n" '$.body')" '^To=%2B15550100123&From=%2B15550199888&' \
	'whose + is %2B'
like "$(field "$n" Body)" '^automate: CRITICAL: disk: 100% full & hot = "bad" \+ more' \
	'and whose text arrives as it was'

text service 'through a messaging service'
run automate-deliver -c service.yaml
n=$(wc -l <requests)
grep -n '"path":"/2010' requests | tail -1 | cut -d: -f1 >number
like "$(request "$(cat number)" '$.body')" \
	'&MessagingServiceSid=MG0123456789abcdef0123456789abcdef&Body=' \
	'MG… is a messaging service'
unlike "$(request "$(cat number)" '$.body')" 'From=' 'and no sender then'

# refused KIND STATUS CODE MESSAGE [OPTION]: one text message, answered so.
refused() {
	script "$sms $2 ${5:-} body={\"code\":$3,\"message\":\"$4\",\"more_info\":\"https://www.twilio.com/docs/errors/$3\",\"status\":$2}"
	automate-deliver -q release sms
	text "$1" "$1"
	run automate-deliver
}

refused stopped 400 21610 'Attempt to send to unsubscribed recipient +15550100123'
is_status 1 'the recipient sent STOP: something died'
is "$(of stopped state)" dead 'it is dead'
like "$(of stopped answer)" 'START' 'and says what to do'
unlike "$(of stopped answer)" '5550100123' 'without the number'
is "$(sql "SELECT destination FROM deliveries WHERE alert_kind = 'delivery.dead' AND destination <> 'sms'")" \
	slack.alerts 'Slack hears of it'
is "$(sql "SELECT count(*) FROM deliveries WHERE alert_kind = 'delivery.dead' AND destination = 'sms'")" \
	0 'the telephone does not'
run automate-deliver
is_status 0 'and that is the end'

refused invalid 400 21211 "Invalid 'To' Phone Number"
is "$(of invalid state)" dead 'no number: dead'
refused unknown 400 29999 'Something new'
is "$(of unknown state)" dead 'an unknown code of a 400: dead'
like "$(of unknown answer)" 'Something new' 'with its words'

refused busy 429 20429 'Too Many Requests'
is_status 75 'too many: postponed'
is "$(of busy state) $(of busy 'due_at - created_at >= 60')" 'queued 1' \
	'for a minute at least'
refused busier 429 20429 'Too Many Requests' header=Retry-After:900
is "$(of busier state) $(of busier 'due_at - created_at BETWEEN 900 AND 920')" \
	'queued 1' 'for as long as it asks'
script "$sms 503 body=<html>unavailable</html>"
automate-deliver -q release sms
text ill ill
run automate-deliver
is "$(of ill state) $(of ill 'due_at - created_at < 30')" 'queued 1' \
	'a 503: soon again'
script "$sms 201 $accepted"
run automate-deliver --now "$(date -u -d '+1 hour' +%Y-%m-%dT%H:%M:%SZ)"
is "$(of busy state) $(of busier state) $(of ill state)" 'done done done' \
	'all of which go in the end'

script "$sms 401 body={\"code\":20003,\"message\":\"Authenticate\",\"status\":401}"
automate-deliver -q release sms
text locked1 locked1
text locked2 locked2
run automate-deliver
is_status 75 'the token is refused: a person should know'
is "$(of locked1 state) $(of locked2 state)" 'queued queued' 'both are kept'
is "$(sql "SELECT held_at IS NOT NULL FROM destinations WHERE name = 'sms'")" 1 \
	'the destination is held'
asked=$(requests "$sms")
is "$(sql "SELECT group_concat(destination) FROM deliveries WHERE alert_kind = 'delivery.held'")" \
	slack.alerts 'Slack alone hears of it'
run automate-deliver show "$(of locked1 id)"
like "$(cat out)" 'status 401 .*right account SID and token' \
	'show tells what to do'
run automate-deliver
is_status 75 'it stays held'
is "$(requests "$sms")" "$asked" 'and is not asked again'
script "$sms 201 $accepted"
run automate-deliver release sms
run automate-deliver
is_status 0 'after release'
is "$(of locked1 state) $(of locked2 state)" 'done done' 'both go'

# All that was said and kept, in a delivery's own words too.
{
	for id in $(sql 'SELECT id FROM deliveries'); do
		automate-deliver show "$id"
	done
	automate-deliver list
	automate-log --json list
	automate-log why stopped
	sqlite3 -readonly "$DB" .dump
	cat "$DB" "$DB"-wal out err
} >shown 2>&1
ok 'there is much to look through' [ "$(wc -c <shown)" -gt 20000 ]
ok 'the token is nowhere' sh -c "! grep -aq $token shown"
ok 'nor in its encoded form' sh -c "! grep -aq '$(printf %s "$sid:$token" | base64 | cut -c 44-80)' shown"
done_testing
