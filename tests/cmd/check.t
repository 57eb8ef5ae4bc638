#!/bin/sh
# What automate-check says: of an installation that is well, of each thing that
# may not be, of providers; and the daily digest.
. "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2119 # no options
start_httpd
chmod 700 .
config
chmod 600 automate.yaml
AUTOMATE_NOW=2026-11-28T10:00:00Z
export AUTOMATE_NOW

# line NAME: what the last run printed of it.
line() {
	grep -A 1 -E "^[a-z]+ +$1 " out | awk 'NR == 1 || /^ /'
}
# look OPTION...: a check, of which one is left as ./out.
look() {
	run automate-check "$@"
}
write() {
	sqlite3 -cmd '.timeout 5000' "$DB" "$1"
}

run automate-check
is_status 1 'on a fresh machine something is to be done'
is "$(grep -Ec '^(warn|fail)' out)" 2 'which is two things'
like "$(line cron.deliver)" '^warn' 'cron does not run yet'
like "$(line cron.deliver)" '-> put the line of etc/crontab for automate-deliver' \
	'and how it will'
like "$(line cron.digest)" '^warn .*never ran' 'nor does the digest'
like "$(cat err)" '^automate-check: [0-9]+ ok, [0-9]+ skipped, 2 to look at, 0 wrong$' \
	'the sum of it'
like "$(line flow.onboarding)" '^ok .*deliveries owed: 5$' \
	'a customer is rehearsed'
like "$(line flow.payments)" '^skip .*without stripe.webhook_secret' \
	'so is a failed payment, which nobody could report'
is "$(sql 'SELECT count(*) FROM events')$(sql 'SELECT count(*) FROM organizations')" \
	00 'and nothing of it is kept'
is "$(requests)" 0 'or sent'
is "$(sql "SELECT command || status FROM runs")" check1 'the run is'

automate-deliver
is "$(sql "SELECT count(*) FROM runs WHERE command = 'deliver' AND status = 0")" 1 \
	'a run of automate-deliver is noted'
automate-deliver
is "$(sql "SELECT count(*) FROM runs WHERE command = 'deliver'")" 1 \
	'in one row, however many there are'

# The digest.
write 'UPDATE runs SET ended_at = ended_at - 11000'
run automate-check --digest
is_status 0 'the digest is posted'
is "$(json out '$.outcome') $(requests /slack-alerts)" 'recorded 1' 'to Slack'
like "$(cat requests)" '1 thing wants attention' 'and says what is not well'
like "$(cat requests)" 'cron.deliver: last ended 3h ago' 'and what that is'
run automate-check --digest
is "$(json out '$.outcome') $(requests)" 'duplicate 1' 'once a day'
run automate-check --digest --now 2026-11-29T10:00:00Z --dry-run
is "$(json out '$.outcome') $(sql "SELECT count(*) FROM events")" 'recorded 1' \
	'a dry run of the next one keeps nothing'

automate-deliver
run automate-check
is_status 0 'now all is well'
is "$(grep -Ec '^(warn|fail)' out)" 0 'and no line says otherwise'
run automate-check -q
is "$status $(cat out err)" '0 ' 'nor has cron anything to mail'
run automate-check --json
is "$(grep -vc '^{"check":"[a-z_.-]*","state":"[a-z]*","words":"' out)" 0 \
	'as JSON, one object a line'
run automate-check --flow onboarding
like "$(cat out)" '^ok +mail ' 'a flow has what it needs'
unlike "$(cat out)" 'billing|stripe' 'and nothing else'
run automate-check --flow sales
is_status 64 'an unknown flow'
run automate-check --sms
is_status 64 'an SMS goes only to a provider for real'
echo '{"id":"o1","name":"One","owner_email":"a@b.example"}' |
	automate-onboard -q >/dev/null
automate-deliver
AUTOMATE_NOW=2026-11-29T09:30:00Z
automate-deliver
run automate-check --digest
like "$(tail -n 1 requests)" 'All is well.*New customers: 1' \
	'the next day has its numbers'
like "$(tail -n 1 requests)" '[0-9]+ sent, 0 given up' 'of deliveries too'

# The watcher outside.
cp automate.yaml quiet.yaml
printf 'cron:\n  ping_check: %s/ping\n  ping_deliver: %s/beat\n' "$URL" "$URL" \
	>>automate.yaml
look
is "$status $(requests /ping)" '0 1' 'who watches hears that all is well'
look --flow usage
is "$(requests /ping)" 1 'and nothing of a part'
automate-deliver
is "$(requests /beat)" 1 'nor is automate-deliver missed'
cp quiet.yaml automate.yaml

# Each thing that may go wrong, and what to do.
write "UPDATE runs SET ended_at = ended_at - 7500, started_at = started_at - 7500
	WHERE command = 'deliver'"
run automate-check -q
is "$status $(grep -c . out)" '1 2' 'what is wrong is two lines to mail'
look
is_status 1 'cron that does not run: status 1'
like "$(line cron.deliver)" '^fail .*last ended 2h ago' 'is seen'
like "$(line cron.deliver)" '-> see that cron runs' 'and to be looked at'
automate-deliver
write "INSERT INTO runs (command, started_at) SELECT 'digest',
	max(started_at) - 100000 FROM runs"
look
like "$(line cron.digest)" '^warn .*begun [0-9]+h ago, and never ended' 'a killed job'
write "DELETE FROM runs WHERE ended_at IS NULL"

automate-deliver hold mail 2>/dev/null
look
like "$(line queue.stopped)" '^fail .*mail is held since 2026' 'a held destination'
like "$(line queue.stopped)" '-> .*automate-deliver release mail' 'and its release'
automate-deliver release mail 2>/dev/null
write "INSERT INTO destinations (name, failures, open_until, probe_s)
	VALUES ('billing', 5, 1795863600, 60) ON CONFLICT (name) DO UPDATE
	SET failures = 5, open_until = 1795863600"
look
like "$(line queue.stopped)" '^warn .*billing does not answer' 'an open breaker'
automate-deliver release billing 2>/dev/null

look --now 2026-11-29T12:00:00Z
like "$(line queue)" '^warn|^fail' 'a late delivery'
write "UPDATE deliveries SET state = 'dead' WHERE step = 'day_7'"
look
like "$(line queue.dead)" '^warn .*given up: 1$' 'a dead one'
like "$(line queue.dead)" '-> .*automate-deliver retry --dead' 'and its retry'
write "UPDATE deliveries SET state = 'queued' WHERE step = 'day_7'"

automate-alert -q --later -s critical -k backup 'no backup' </dev/null >/dev/null
id=$(sql 'SELECT max(id) FROM system_alerts')
look
like "$(line alerts.critical)" "^fail .*$id: no backup" 'a critical alert'
automate-log ack "$id"
look
unlike "$(cat out)" 'alerts.critical' 'until it is taken on'
automate-log resolve "$id" 2>/dev/null

look --now 2026-11-28T09:00:00Z
like "$(line clock)" '^fail .*an event came at 2026-11-29T09:3' 'a clock that is behind'
chmod 644 automate.yaml
look
like "$(line configuration)" '^warn .*mode 0644' 'a configuration all can read'
chmod 602 automate.yaml
look
like "$(line configuration)" '^fail .*can be changed' 'or even change'
like "$(line configuration)" "-> chmod go-w $SCRATCH/automate.yaml" 'and the cure'
chmod 600 automate.yaml
chmod 644 "$DB"
look
like "$(line database.mode)" '^fail .*open to everybody \(mode 0644\)' \
	'a database all can read'
chmod 600 "$DB"
chmod 777 .
look
like "$(line database.mode)" '^fail .*can be changed by everybody' 'or its folder'
chmod 700 .

# Silence, of whom it is not usual.
write "WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n LIMIT 10)
	INSERT INTO events (id, source, kind, occurred_at, received_at, outcome,
	result, body) SELECT 'evt_' || i, 'stripe', 'invoice.paid', 0,
	1795860000 - 86400 * (12 - i), 'ignored', '{}', '{}' FROM n"
look
like "$(line webhooks.stripe)" '^warn .*last one 3d ago; the longest pause before was 24h' \
	'silence of Stripe'
look --now 2026-12-30T10:00:00Z
like "$(line webhooks.stripe)" '^fail' 'grows into a failure'
write "DELETE FROM events WHERE source = 'stripe'"

# Damage.
cp "$DB" whole.db
sqlite3 "$DB" 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null
page=$(sqlite3 "$DB" "SELECT rootpage FROM sqlite_schema WHERE name = 'runs_command'")
dd if=/dev/zero of="$DB" bs=4096 seek=$((page - 1)) count=1 conv=notrunc 2>/dev/null
look
is_status 1 'a damaged database: status 1'
like "$(cat out)" '^fail +database .*damaged' 'is seen'
rm -f "$DB"*
echo 'no database' >"$DB"
look
is_status 1 'what is no database: status 1'
like "$(line database)" '^fail .*not a database of automate' 'is said'
rm -f "$DB"

if [ "$(id -u)" = 0 ]; then
	mkdir theirs
	chown 12345 theirs
	elsewhere theirs/automate.db automate-check >out 2>err
	like "$(line user)" '^fail .*you are root, and the database is #12345' \
		'root leaves the database of others alone'
	is "$(ls theirs)" '' 'and nothing beside it'
fi

# The configuration in effect.
run automate-check config
is_status 0 'the configuration is printed'
like "$(cat out)" '^slack.alerts.url: \(set\)$' 'a secret only as set'
like "$(cat out)" '^alerts.repeat: 4h$' 'the rest as it is'
unlike "$(cat out)" "$PORT/slack" 'no secret is shown'
echo 'mial:' >wrong.yaml
run automate-check -c wrong.yaml
is_status 78 'one that does not load: status 78'

# Providers, for real.
unset AUTOMATE_NOW
cat >>automate.yaml <<-END
stripe:
  secret_key: sk_test_1
  webhook_secret: whsec_one whsec_two
  meter_id: mtr_1
  api_base: $URL
retell:
  api_key: key_1
  from_number: "+15550100"
  api_base: $URL
cgi:
  public_url: $URL/automate
END
: >requests
types='"*"'
meter='{"id":"mtr_1","object":"billing.meter","livemode":false,"status":"active","event_name":"ai_calls","customer_mapping":{"event_payload_key":"stripe_customer_id"},"value_settings":{"event_payload_key":"value"},"default_aggregation":{"formula":"sum"},"event_time_window":null}'
endpoint() {
	echo "/v1/webhook_endpoints 200 body={\"object\":\"list\",\"has_more\":false,\"data\":[{\"id\":\"we_1\",\"object\":\"webhook_endpoint\",\"livemode\":false,\"status\":\"$1\",\"url\":\"$URL/automate/stripe-webhook\",\"enabled_events\":[$2]}]}"
}
script '/slack-customers 200 body=ok' '/slack-alerts 200 body=ok' \
	"/v1/billing/meters/mtr_1 200 body=$meter" "$(endpoint enabled "$types")" \
	'/get-concurrency 200 body={"current_concurrency":1,"concurrency_limit":20}'
look --live
like "$(line live.mail)" '^ok .*took the test' 'the mail webhook takes a test'
is "$(grep -F '/mail"' requests | tail -n 1 >request; json request '$.body' '$.step')" \
	'test' 'which is marked as such'
like "$(line live.slack.customers)" '^ok' 'so does Slack'
like "$(grep -F '/slack-alerts"' requests)" 'Test by automate-check' 'in words'
like "$(line live.sms)" '^skip .*costs money' 'no SMS is sent'
is "$(requests /sms)" 0 'indeed'
like "$(line live.stripe.meter)" '^ok +.*sums up' 'the meter is right'
like "$(line live.stripe.endpoint)" '^ok .*with all events' 'so is the endpoint'
like "$(line live.retell)" '^ok .*room for 19 more calls' 'Retell has room'
like "$(line live.cgi)" '^fail .*was accepted, and is not in' \
	'an event that gets lost on the way is missed'
like "$(line live.cgi)" '-> .*the same database.path' 'with the likely cause'
is "$(grep -c sk_test_1 out)$(grep -c whsec out)$(grep -c key_1 out)" 000 \
	'no secret is shown'
look --live --sms
is "$(requests /sms)" 1 'an SMS goes if asked for'

# The event that was sent is one that our own command takes.
grep -F '/automate/stripe-webhook"' requests | tail -n 1 >request
json request '$.body' >event
HTTP_STRIPE_SIGNATURE=$(json request '$.headers."stripe-signature"')
export HTTP_STRIPE_SIGNATURE
printf '%s' "$(cat event)" >body
run automate-stripe-event <body
is "$status $(json out '$.outcome')" '0 ignored' 'its signature is right'

script '/slack-alerts 404 body=no_service' '/mail 410' \
	"/v1/billing/meters/mtr_1 200 body=$(echo "$meter" | sed 's/sum/count/')" \
	"$(endpoint disabled "$types")" '/get-concurrency 401' \
	'/automate/stripe-webhook 401 body={"error":"bad signature"}'
look --live
is_status 1 'providers that say no: status 1'
like "$(line live.slack.alerts)" '^fail .*no_service' 'Slack, in its words'
like "$(line live.mail)" '^fail .*410' 'the webhook'
like "$(line live.stripe.meter)" '^fail .*does not sum what is reported' 'a meter that counts wrongly'
like "$(line live.stripe.endpoint)" '^fail .*disabled' 'an endpoint that is off'
like "$(line live.retell)" '^fail' 'a key that Retell refuses'
like "$(line live.cgi)" '^fail .*401' 'a server that refuses'
# One that is at it keeps no other from looking.
script '/mail 200 delay=2000 body=Accepted'
before=$(requests /mail)
automate-check --live >beside 2>&1 &
wait_for 10 sh -c "[ \$(grep -c '\"/mail\"' requests) -gt $before ]"
look
like "$(cat out)" '^ok +database ' 'a check beside another looks, too'
wait
script "$(endpoint enabled '"invoice.paid"')"
look --live --flow payments
like "$(line live.stripe.endpoint)" '^warn .*invoice.payment_failed' \
	'an event that is not ticked'
unlike "$(cat out)" 'live.retell|live.mail' 'of one flow, only its providers'

# The whole way, through a web server.
if busybox --list 2>/dev/null | grep -qx httpd; then
	mkdir -p www/cgi-bin/automate
	cat >www/cgi-bin/stripe-webhook <<-END
	#!/bin/sh
	PATH=$PATH AUTOMATE_CONFIG=$SCRATCH/automate.yaml HOME=$HOME
	export PATH AUTOMATE_CONFIG HOME
	head -c "\$CONTENT_LENGTH" | automate-stripe-event -q --later >/dev/null
	printf 'Status: 200\r\n\r\n'
	END
	chmod 755 www/cgi-bin/stripe-webhook
	probe=$(httpd -d -q -r probe -p probe.port)
	port=$(cat probe.port)
	kill "$probe"
	wait_for 5 sh -c "! kill -0 $probe"
	busybox httpd -f -p "127.0.0.1:$port" -h www 2>/dev/null &
	kill_at_exit $!
	wait_for 10 curl -s "http://127.0.0.1:$port/"
	sed "s|public_url: .*|public_url: http://127.0.0.1:$port/cgi-bin|" \
		automate.yaml >live.yaml
	chmod 600 live.yaml
	run automate-check -c live.yaml --live --flow payments
	like "$(line live.cgi)" '^ok .*went through the web server into the database' \
		'an event goes all the way'
	id=$(sed -n 's/.*\(check_event_[0-9_]*\).*/\1/p' out)
	is "$(sql "SELECT kind || outcome FROM events WHERE id = '$id'")" \
		automate.testignored 'and stays, as ignored'
else
	tap_pass 'an event goes all the way # SKIP no busybox httpd'
fi
done_testing
