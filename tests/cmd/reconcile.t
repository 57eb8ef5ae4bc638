#!/bin/sh
# Usage: counted, reported once, compared; and what is said where the meter's
# sum is another.
. "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2119 # no options
start_httpd
# shellcheck disable=SC2119
start_meter
config
cat >>automate.yaml <<END
stripe:
  secret_key: sk_test_reconcile
  mode: test
  meter_id: mtr_1
  api_base: $METER
  read:
    rate: 60000/m
END

# organization ID STATUS [CUSTOMER]
organization() {
	sqlite3 "$DB" "INSERT INTO organizations (id, name, status, status_at,
	    stripe_customer_id, created_at) VALUES ('$1', '$1', '$2', 0,
	    nullif('${3:-}', ''), 0)"
}

# calls ORGANIZATION NUMBER TIME: placed then; connected, every second one.
calls() {
	sqlite3 "$DB" "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1
	    FROM n WHERE i < $2) INSERT INTO calls (id, call_id,
	    organization_id, state, placed_at, connected, created_at)
	    SELECT lower(hex(randomblob(8))), lower(hex(randomblob(8))),
	    nullif('$1', ''), 'ended', unixepoch('$3'), i % 2, 0 FROM n"
}

# night TIME [OPTION...]: a run at that time, as the meter has it, too.
night() {
	night_at=$1
	shift
	set_meter now "$(sqlite3 :memory: "SELECT unixepoch('$night_at')")"
	run automate-reconcile --now "$night_at" "$@"
}

# at_meter CUSTOMER DAY: what it sums up.
at_meter() {
	stripe-get /sums >sums
	sqlite3 :memory: "SELECT coalesce(sum(value ->> 'sum'), 0) FROM
	    json_each(readfile('sums'), '\$.sums') WHERE
	    value ->> 'customer' = '$1' AND value ->> 'day' = unixepoch('$2')"
}

# totals NAME: of the last run.
totals() {
	tail -1 out >totals
	json totals "\$.totals.$1"
}

alerts() {
	sql "SELECT count(*) FROM system_alerts WHERE kind = '$1' AND
	    resolved_at IS NULL"
}

automate-deliver -q || exit 1
organization org_1 active cus_1
organization org_2 past_due cus_2
organization org_3 active
organization org_4 canceled cus_4
organization org_5 trialing cus_5
calls org_1 3 '2026-11-26 00:00:00'
calls org_1 5 '2026-11-27 23:59:59'
calls org_2 2 '2026-11-27 12:00:00'
calls org_3 4 '2026-11-27 12:00:00'
calls org_4 1 '2026-11-27 12:00:00'
calls org_5 6 '2026-11-27 12:00:00'
calls '' 7 '2026-11-27 12:00:00'
calls org_1 8 '2026-11-28 00:00:00'

# What would be done, with nothing set and nothing written.
sed '/^stripe:/,$d' automate.yaml >bare.yaml
run automate-reconcile -c bare.yaml --now 2026-11-28T02:00:00Z
is_status 78 'without a key: status 78'
like "$(cat err)" 'stripe\.secret_key' 'and what to set'
before=$(sql 'SELECT count(*) FROM events')
night 2026-11-28T02:00:00Z --dry-run
is_status 0 'a dry run'
is "$(totals reported)" 16 'tells what would be reported'
is "$(sql 'SELECT count(*) FROM usage')$(sql 'SELECT count(*) FROM usage_days')" \
	00 'and keeps nothing'
is "$(sql 'SELECT count(*) FROM events')" "$before" 'no event either'
is "$(at_meter cus_1 2026-11-27)" 0 'and sends nothing'

night 2026-11-28T02:00:00Z
is_status 0 'the first night'
is "$(at_meter cus_1 2026-11-26)$(at_meter cus_1 2026-11-27)" 35 \
	'each day to its own sum, by UTC'
is "$(at_meter cus_2 2026-11-27)$(at_meter cus_5 2026-11-27)" 26 \
	'past due and trialing as well'
is "$(at_meter cus_1 2026-11-28)" 0 'today is not over'
is "$(sql "SELECT count(*) FROM deliveries WHERE destination = 'stripe.meter' AND state = 'done'")" \
	4 'all of it was delivered in the same run'
is "$(sql "SELECT idempotency_key FROM deliveries WHERE organization_id = 'org_2'")" \
	usage:org_2:2026-11-27:2 'under its identifier'
is "$(head -1 out | sed 's/,"confirmed.*//')" \
	'{"organization":"org_1","day":"2026-11-26","counted":3,"reported":3,"sent":3' \
	'a line for each, as JSON'
is "$(totals unattributed) $(totals no_customer) $(totals inactive)" '7 4 1' \
	'what nobody pays for is counted'
is "$(alerts usage.unattributed)$(alerts usage.no_customer)$(alerts usage.inactive)" \
	111 'and an alert each'
like "$(sql "SELECT message FROM system_alerts WHERE kind = 'usage.no_customer'")" \
	'^4 calls .*org_3 \(4 on 2026-11-27\)' 'with whose calls they are'
is "$(grep -c 'Usage of 2026-11-27: 13 calls of 3 organizations, 0 drifts' requests)" \
	1 'Slack hears of the day'
is "$(sql "SELECT count(*) FROM deliveries WHERE step = 'usage_summary'")" 3 \
	'once for each that was closed'
is "$(sql "SELECT command || ' ' || status || ' ' || json_extract(summary, '\$.reported') FROM runs ORDER BY id DESC LIMIT 1")" \
	'reconcile 0 16' 'the run is written down'

night 2026-11-28T02:00:30Z
is_status 0 'the same again'
is "$(totals reported) $(totals compared)" '0 0' 'sends nothing'
is "$(sql "SELECT count(*) FROM deliveries WHERE step = 'usage_summary'")" 3 \
	'and tells nothing twice'
is "$(sql "SELECT max(count) FROM system_alerts")" 1 'nor alarms'

# The running total.
night 2026-11-28T10:00:00Z --today
is_status 0 'today'
is "$(at_meter cus_1 2026-11-28)" 8 'is reported while it lasts'
calls org_1 2 '2026-11-28 11:00:00'
night 2026-11-28T11:30:00Z --today
is "$(at_meter cus_1 2026-11-28)" 10 'by what has come'
calls org_1 1 '2026-11-28 23:30:00'
night 2026-11-29T00:10:00Z --today
is "$(at_meter cus_1 2026-11-28)" 11 \
	'and a day that is over and not closed, before its invoice is'

# Comparing.
calls org_2 1 '2026-11-26 12:00:00'
night 2026-11-29T02:00:00Z
is_status 0 'the second night'
is "$(totals confirmed) $(totals drifts)" '4 0' 'confirms the days before'
is "$(at_meter cus_2 2026-11-26)" 1 'a call that came late is reported, too'
is "$(sql "SELECT count(*) FROM usage WHERE confirmed = sent AND settled_at > 0")" \
	4 'that is kept'
night 2026-11-29T09:00:00Z
is "$(totals confirmed)" 2 'the others, as soon as Stripe may have them'
night 2026-11-29T09:00:30Z
is "$(totals compared)" 0 'and once'

# What Stripe takes and does not count.
set_meter drop 1000
calls org_1 20 '2026-11-29 12:00:00'
night 2026-11-30T02:00:00Z
set_meter drop 0
is_status 0 'usage that gets lost at Stripe'
night 2026-11-30T07:59:00Z
is_status 0 'may be on its way'
night 2026-11-30T08:01:00Z
is_status 1 'and then is a drift: status 1'
is "$(totals drifts)" 1 'one'
like "$(head -1 out)" '"sent":20,"confirmed":0,"drift":-20,"cause":"not_counted","id":1,"next":"automate-reconcile --apply 1"' \
	'with its cause, and what mends it'
is "$(alerts usage.drift)" 1 'an alert'
like "$(sql "SELECT message FROM system_alerts WHERE kind = 'usage.drift'")" \
	'org_1 on 2026-11-29: 20 counted, 20 sent, at Stripe 0' 'with examples'
is "$(at_meter cus_1 2026-11-29)" 0 'nothing is mended by itself'
night 2026-11-30T08:02:00Z --apply 1
is_status 0 'mended by hand'
is "$(at_meter cus_1 2026-11-29)" 20 'it is there'
is "$(sql "SELECT idempotency_key FROM deliveries WHERE idempotency_key LIKE 'usage:org_1:2026-11-29:%' ORDER BY id DESC LIMIT 1")" \
	usage:org_1:2026-11-29:20:1 'under another identifier'
set_meter lag 7200
night 2026-11-30T08:03:00Z --apply 1
is_status 75 'but not twice, before Stripe can tell'
is "$(at_meter cus_1 2026-11-29)" 20 'so that is all'
set_meter lag 0
night 2026-11-30T15:00:00Z
is_status 0 'the next run'
is "$(sql "SELECT count(*) FROM drifts WHERE ended_at IS NULL")$(alerts usage.drift)" \
	00 'ends the drift and its alert'
night 2026-11-30T15:01:00Z --apply 1
is_status 65 'one that is over is not mended'

# What Stripe refuses.
set_meter reject 1000
calls org_2 9 '2026-11-30 12:00:00'
night 2026-12-01T02:00:00Z
is_status 1 'a report that Stripe refuses: status 1'
is "$(totals dead)" 1 'given up'
set_meter reject 0
night 2026-12-01T09:00:00Z
like "$(head -1 out)" '"cause":"rejected","id":2,' 'then a drift'
night 2026-12-01T09:00:10Z --apply 2
is "$(at_meter cus_2 2026-11-30)" 9 'mended'
night 2026-12-01T16:00:00Z
is_status 0 'and all is well'

# More at Stripe, fewer here.
calls org_1 4 '2026-12-01 12:00:00'
night 2026-12-02T02:00:00Z
set_meter extra cus_1:2026-12-01:3
night 2026-12-02T09:00:00Z
is_status 1 'more at Stripe than was sent'
like "$(head -1 out)" '"confirmed":7,"drift":3,"cause":"higher","id":3,"next":"automate-log why org_1"' \
	'is a drift'
night 2026-12-02T09:00:10Z --apply 3
is_status 65 'that sending does not mend'
like "$(cat err)" 'Stripe has more than was reported' 'in words'
is "$(at_meter cus_1 2026-12-01)" 7 'and nothing is sent'
set_meter extra cus_1:2026-12-01:-3
sqlite3 "$DB" "DELETE FROM calls WHERE placed_at = unixepoch('2026-11-30 12:00:00')"
night 2026-12-02T09:01:00Z
is_status 1 'calls that are gone'
is "$(sql "SELECT cause || ' ' || local || ' ' || sent FROM drifts WHERE ended_at IS NULL")" \
	'fewer 0 9' 'are a drift, too'
calls org_2 9 '2026-11-30 12:00:00'
night 2026-12-02T09:02:00Z
is_status 0 'until they are back'

# A customer that Stripe does not know.
calls org_5 3 '2026-12-02 12:00:00'
night 2026-12-03T02:00:00Z
set_meter gone cus_5
night 2026-12-03T09:00:00Z
like "$(head -1 out)" '"confirmed":null,"drift":-3,"cause":"no_customer"' \
	'a customer Stripe does not know is a drift'
set_meter gone ''
night 2026-12-03T09:01:00Z
is_status 0 'until it does'

# What cannot be mended, and is accepted as it is.
calls org_1 2 '2026-12-02 18:00:00'
night 2026-12-03T09:02:00Z
set_meter extra cus_1:2026-12-02:5
night 2026-12-03T16:00:00Z
is_status 1 'what another system has reported'
drift=$(sql 'SELECT max(id) FROM drifts')
night 2026-12-03T16:00:10Z --apply "$drift"
like "$(cat err)" "if it may stay so, automate-reconcile --accept $drift" \
	'may stay so'
night 2026-12-03T16:00:20Z --dry-run --accept "$drift"
is "$status $(sql "SELECT count(*) FROM drifts WHERE ended_at IS NULL")" '0 1' \
	'a rehearsal'
LOGNAME=ann night 2026-12-03T16:00:20Z --accept "$drift"
is_status 0 'accepted'
like "$(cat out)" '"sent":2,"confirmed":7,"drift":0,"accepted":5' 'as it is'
is "$(alerts usage.drift)" 0 'that ends the alert'
is "$(sql "SELECT accepted_by || ' ' || datetime(accepted_at, 'unixepoch') || ' ' || (ended_at = accepted_at) FROM drifts WHERE id = $drift")" \
	'ann 2026-12-03 16:00:20 1' 'who did, and when'
like "$(automate-log why org_1)" 'usage.accepted' 'is in the history'
night 2026-12-03T16:01:00Z --since 2026-12-01
is_status 0 'it is not told again'
calls org_1 1 '2026-12-02 19:00:00'
night 2026-12-03T16:02:00Z
is "$(at_meter cus_1 2026-12-02)" 8 'what comes late is reported on top'
night 2026-12-03T23:00:00Z
is "$status $(totals confirmed)" '0 1' 'and confirmed'
set_meter extra cus_1:2026-12-02:1
night 2026-12-03T23:10:00Z --day 2026-12-02
like "$(grep '"cause"' out)" '"confirmed":9,"drift":1,"accepted":5,"cause":"higher"' \
	'another difference is another drift'
drift=$(sql 'SELECT max(id) FROM drifts')
set_meter extra cus_1:2026-12-02:1
night 2026-12-03T23:11:00Z --accept "$drift"
is_status 65 'more by now than was told is not accepted'
like "$(cat err)" 'is another by now: 3 counted, 3 sent, at Stripe 10' \
	'but said'
night 2026-12-03T23:11:10Z --accept "$drift"
is_status 0 'and then accepted'
night 2026-12-03T23:12:00Z --accept "$drift"
is_status 65 'once'
sqlite3 "$DB" "DELETE FROM calls WHERE placed_at = unixepoch('2026-12-02 19:00:00')"
set_meter gone cus_5
night 2026-12-03T23:13:00Z --since 2026-12-01
is "$(grep -o '"cause":"[a-z_]*"' out | sort | tr '\n' ' ')" \
	'"cause":"fewer" "cause":"no_customer" ' 'fewer calls, and no customer'
night 2026-12-03T23:13:10Z --accept all
is_status 0 'can be accepted, all in one go'
night 2026-12-03T23:14:00Z --since 2026-12-01
is_status 0 'and are not told again'
set_meter gone ''

# A failed read is not zero.
calls org_1 3 '2026-12-03 12:00:00'
night 2026-12-04T02:00:00Z
set_meter down 1000
night 2026-12-04T09:00:00Z
is_status 75 'a Stripe that is down: not now'
is "$(alerts usage.stripe_unreachable)" 1 'an alert'
is "$(sql "SELECT count(*) FROM usage WHERE settled_at IS NULL")" 1 \
	'and nothing is settled'
is "$(alerts usage.drift)" 0 'nor taken for a drift'
set_meter down 0
night 2026-12-04T09:10:00Z
is_status 0 'later'
is "$(alerts usage.stripe_unreachable)" 0 'that is over'

# What may have been taken, when Stripe forgets that.
set_meter lose 1000
calls org_2 6 '2026-12-03 13:00:00'
night 2026-12-04T09:20:00Z
is "$(at_meter cus_2 2026-12-03)" 6 'a report that was taken, and no answer came'
set_meter lose 0 now "$(sqlite3 :memory: "SELECT unixepoch('2026-12-05 09:30:00')")"
run automate-deliver --now 2026-12-05T09:30:00Z
is "$(sql "SELECT state FROM deliveries WHERE idempotency_key = 'usage:org_2:2026-12-03:6'")" \
	dead 'is not sent again a day later'
is "$(at_meter cus_2 2026-12-03)" 6 'so it is not billed twice'
night 2026-12-05T16:00:00Z
is_status 0 'the comparison finds it'
is "$(sql "SELECT confirmed || ' ' || sent FROM usage WHERE organization_id = 'org_2' AND day_at = unixepoch('2026-12-03')")" \
	'6 6' 'confirmed'

# What could be mended, and is let go.
set_meter reject 1000
calls org_2 2 '2026-12-02 20:00:00'
night 2026-12-05T16:10:00Z
set_meter reject 0
night 2026-12-05T22:20:00Z
is "$(totals drifts) $(totals dead)" '1 1' 'what could be mended'
night 2026-12-05T22:20:10Z --accept all
is "$status $(alerts usage.drift)" '0 1' 'is not accepted with all'
night 2026-12-05T22:20:20Z --accept "$(sql 'SELECT max(id) FROM drifts')"
is_status 0 'but by its number'
night 2026-12-05T22:21:00Z --since 2026-12-02
is "$status $(totals dead) $(alerts usage.drift)" '0 0 0' 'and so let go'

# A meter that would bill something else.
calls org_1 1 '2026-12-05 12:00:00'
for wrong in 'formula count' 'formula last' 'window day' 'status inactive'; do
	# shellcheck disable=SC2086 # two words
	set_meter $wrong
	night 2026-12-06T02:00:00Z
	is_status 78 "a meter of another kind ($wrong): status 78"
	set_meter formula '' window '' status ''
done
like "$(cat err)" 'is not active' 'with the reason'
is "$(alerts usage.stopped)" 1 'an alert'
is "$(sql "SELECT count(*) FROM usage WHERE day_at = unixepoch('2026-12-05')")" \
	0 'and nothing queued'
night 2026-12-06T02:00:00Z
is_status 0 'the right one'
is "$(at_meter cus_1 2026-12-05)$(alerts usage.stopped)" 10 'makes up for it'

# After downtime.
for day in 06 07 08 09 10 11; do
	calls org_1 1 "2026-12-$day 12:00:00"
done
night 2026-12-12T02:00:00Z
is "$(totals events)" 6 'days that were missed are made up, beyond look_back'
is "$(sql "SELECT group_concat(d, ' ') FROM (SELECT substr(idempotency_key, 13, 10) AS d FROM deliveries WHERE idempotency_key LIKE 'usage:org_1:2026-12-%' AND d >= '2026-12-06' ORDER BY id)")" \
	'2026-12-06 2026-12-07 2026-12-08 2026-12-09 2026-12-10 2026-12-11' \
	'oldest first'

# One day, one organization.
calls org_1 1 '2026-12-06 12:00:00'
calls org_2 1 '2026-12-06 12:00:00'
night 2026-12-12T03:00:00Z --day 2026-12-06 --organization org_2
is "$(totals reported)" 1 'one day of one organization'
is "$(at_meter cus_1 2026-12-06)$(at_meter cus_2 2026-12-06)" 11 'alone'
night 2026-12-12T03:00:00Z --since 2026-12-06
is "$(at_meter cus_1 2026-12-06)" 2 'or all since a day'
for wrong in 2026-12-13 yesterday 2026-13-01; do
	run automate-reconcile --now 2026-12-12T02:00:00Z --day "$wrong"
	is_status 64 "no such day: $wrong"
done
run automate-reconcile --now 2026-12-12T02:00:00Z --day 2026-11-01
is_status 65 'a day too long ago'
run automate-reconcile --today --day 2026-12-01
is_status 64 'one or the other'

# Moving over: what was before a day, another system has reported.
printf 'usage:\n  since: 2026-12-12\n' | cat automate.yaml - >since.yaml
calls org_5 4 '2026-12-11 12:00:00'
calls org_5 5 '2026-12-12 00:00:00'
night 2026-12-12T00:10:00Z --today -c since.yaml
is_status 0 'a first run after midnight'
is "$(at_meter cus_5 2026-12-11) $(at_meter cus_5 2026-12-12)" '0 5' \
	'reports from that day on'
night 2026-12-12T02:00:00Z -c since.yaml
is "$(totals days) $(at_meter cus_5 2026-12-11)" '0 0' \
	'at night there is nothing yet'
like "$(cat err)" 'nothing to report before usage\.since' 'which is said'
night 2026-12-13T02:00:00Z -c since.yaml
is "$(totals days) $(totals reported) $(at_meter cus_5 2026-12-11)" '1 0 0' \
	'and then that day alone'
run automate-reconcile -c since.yaml --now 2026-12-12T02:00:00Z --day 2026-12-11
is_status 65 'an earlier one is not ours'
like "$(cat err)" 'before usage\.since' 'and the reason is said'
sqlite3 "$DB" "DELETE FROM calls WHERE organization_id = 'org_5' AND
    placed_at = unixepoch('2026-12-11 12:00:00')"

# Only what was answered, with another configuration.
sed 's/^billing:/&\n  count: connected/' automate.yaml >connected.yaml
calls org_1 5 '2026-12-12 12:00:00'
night 2026-12-13T02:00:00Z -c connected.yaml
is "$(at_meter cus_1 2026-12-12)" 3 'of connected calls alone, if so configured'

# Names that are no names for Stripe.
long=$(printf '%0120d' 7)
sqlite3 "$DB" "INSERT INTO organizations (id, status, status_at,
    stripe_customer_id, created_at) VALUES ('$long', 'active', 0, 'cus_long',
    0), ('a b' || char(10) || 'Evil: 1', 'active', 0, 'cus_evil', 0)"
calls "$long" 2 '2026-12-13 12:00:00'
sqlite3 "$DB" "UPDATE calls SET organization_id = 'a b' || char(10) || 'Evil: 1'
    WHERE id IN (SELECT id FROM calls WHERE organization_id = '$long' LIMIT 1)"
night 2026-12-14T02:00:00Z
is "$(at_meter cus_long 2026-12-13)$(at_meter cus_evil 2026-12-13)" 11 \
	'long and strange names are reported'
is "$(sql "SELECT max(length(idempotency_key)) <= 100 FROM deliveries WHERE destination = 'stripe.meter'")" \
	1 'under an identifier that Stripe takes'

# The watcher outside, and Retell's own count.
cat >>automate.yaml <<END
cron:
  ping_reconcile: $URL/ping
usage:
  compare_retell: true
retell:
  api_key: key_test
  api_base: $URL
END
script '/v3/list-calls 200 body={"items":[],"has_more":false,"total":7}'
calls org_1 3 '2026-12-14 12:00:00'
night 2026-12-15T02:00:00Z
is_status 0 'a night that is watched'
is "$(grep -o '"path":"/ping[^"]*"' requests | tr '\n' ' ')" \
	'"path":"/ping/start" "path":"/ping" ' 'the watcher hears of it'
like "$(sql "SELECT message FROM system_alerts WHERE fingerprint = 'usage.retell_differs:2026-12-14'")" \
	'On 2026-12-14 Retell counts 7 calls, and we 3' \
	'a day that Retell counts otherwise is an alert'
before=$(requests /v3/list-calls)
night 2026-12-15T02:10:00Z
is "$(requests /v3/list-calls)" "$before" 'each day is asked for once'
night 2026-12-15T03:00:00Z --today
is "$(grep -c '"/ping' requests)" 4 'nobody is told of other runs'
script '/v3/list-calls 500' '/ping 503'
set_meter drop 1000
calls org_1 2 '2026-12-15 12:00:00'
night 2026-12-16T02:00:00Z
is_status 75 'a Retell that is down: not now'
is "$(at_meter cus_1 2026-12-15)$(sql "SELECT sent FROM usage WHERE organization_id = 'org_1' AND day_at = unixepoch('2026-12-15')")" \
	02 'but all else is done'
script '/v3/list-calls 200 body={"items":[],"has_more":false,"total":2}' \
	'/ping/fail 500'
set_meter drop 0
night 2026-12-16T09:00:00Z
is_status 1 'a watcher that is down changes no status'
like "$(tail -3 err)" 'cron.ping_reconcile does not answer' 'and is mentioned'
is "$(grep -c '"/ping/fail"' requests)" 6 'having been tried five times'
like "$(automate-reconcile --apply all --now 2026-12-16T09:01:00Z 2>/dev/null)" \
	'"day":"2026-12-15".*"reported":2,' 'all that can be mended, in one go'
is "$(at_meter cus_1 2026-12-15)" 2 'is'
done_testing
