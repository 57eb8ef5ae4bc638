#!/bin/sh
# Stripe's events through the command: whose they are, in whatever order and
# however often they come, and what a kill leaves behind.
. "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2119 # no options
start_httpd
config
cat >>automate.yaml <<-END
	stripe:
	  mode: test
	  webhook_secret: whsec_old whsec_new
END
data=$TOP/tests/data/stripe

take() {
	run automate-stripe-event --unsigned --later
}
outcome() {
	sed -n 's/.*"outcome":"\([a-z]*\)".*/\1/p' "$@" | tr '\n' ' '
}
one_line() {
	tr -d '\n' <"$1"
	echo
}

# event ID TYPE CREATED OBJECT: one on a line.
event() {
	echo "{\"id\":\"$1\",\"object\":\"event\",\"api_version\":\"2026-10-28.endive\",\"created\":$3,\"livemode\":false,\"type\":\"$2\",\"data\":{\"object\":$4}}"
}
invoice() { # ID CUSTOMER SUBSCRIPTION ATTEMPT REST
	echo "{\"id\":\"$1\",\"object\":\"invoice\",\"customer\":\"$2\",\"parent\":{\"subscription_details\":{\"subscription\":\"$3\"}},\"billing_reason\":\"subscription_cycle\",\"attempt_count\":$4,\"currency\":\"usd\",$5}"
}
unpaid='"amount_remaining":2900,"amount_paid":0,"status":"open"'
paid='"amount_remaining":0,"amount_paid":2900,"status":"paid"'
subscription() { # ID CUSTOMER STATUS
	echo "{\"id\":\"$1\",\"object\":\"subscription\",\"customer\":\"$2\",\"status\":\"$3\",\"metadata\":{},\"items\":{\"data\":[]}}"
}

# The story of the fixtures, as it happened.
for name in checkout.session.completed invoice.payment_failed \
	customer.subscription.updated invoice.payment_succeeded; do
	one_line "$data/$name.json"
done >story
take <story
is_status 0 'the fixtures are taken'
is "$(outcome out)" 'recorded recorded recorded recorded ' 'and recorded'
is "$(sql "SELECT status || ' ' || plan || ' ' || stripe_customer_id FROM organizations WHERE id = 'org_jenny'")" \
	'active pro cus_FOCRetXQhm99qX' 'failed, then paid: active'
is "$(sql "SELECT group_concat(destination || ':' || step || ':' || state, ' ') FROM (SELECT * FROM deliveries ORDER BY id)")" \
	'slack.customers:new_customer:queued mail:welcome:queued mail:day_1:queued mail:day_3:queued mail:day_7:queued billing:payment_failed:cancelled billing:recovered:queued' \
	'the checkout onboards; paid in time, the failure is not told any more'
is "$(sql "SELECT json_extract(body, '\$.amount') FROM deliveries WHERE step = 'recovered'")" \
	"\$29.00" 'the amount as people write it'
take <story
is "$(outcome out)" 'duplicate duplicate duplicate duplicate ' 'all again: nothing'
one_line "$data/customer.subscription.deleted.json" >in
take <in
is "$(sql "SELECT status FROM organizations WHERE id = 'org_jenny'")" canceled \
	'deleted: canceled'
is "$(sql "SELECT count(*) FROM deliveries WHERE destination = 'mail' AND state = 'queued'")" \
	0 'and written to no more'

# A redelivery has the same id and other bytes.
sed 's/"pending_webhooks": 1/"pending_webhooks": 0/' "$data/invoice.payment_failed.json" >in
take <in
is "$(outcome out)" 'duplicate ' 'the same id in other bytes is a duplicate'

# Twins.
echo '{"id":"org_t","stripe_customer_id":"cus_t","owner_email":"a@b.example"}' |
	automate-onboard --later >/dev/null 2>&1
{
	event evt_t0 customer.subscription.created 1700000000 "$(subscription sub_t cus_t active)"
	event evt_t1 invoice.payment_failed 1700000100 "$(invoice in_t cus_t sub_t 1 "$unpaid")"
	event evt_t2 invoice.payment_failed 1700000101 "$(invoice in_t cus_t sub_t 1 "$unpaid")"
	event evt_t3 invoice.payment_failed 1700300000 "$(invoice in_t cus_t sub_t 2 "$unpaid")"
	echo '{"id":"evt_thin","object":"v2.core.event","type":"v1.invoice.payment_failed","created":"2023-11-14T22:15:00.123Z","livemode":false,"snapshot_event":"evt_t1"}'
	event evt_t4 invoice.paid 1700300100 "$(invoice in_t cus_t sub_t 3 "$paid")"
	event evt_t5 invoice.payment_succeeded 1700300100 "$(invoice in_t cus_t sub_t 3 "$paid")"
} >in
take <in
is "$(outcome out)" 'recorded recorded duplicate recorded duplicate recorded duplicate ' \
	'the same attempt under another id is a duplicate, another attempt is not'
is "$(sql "SELECT twin_of FROM events WHERE id = 'evt_t2'")" evt_t1 \
	'which is kept, and says of what'
is "$(sql "SELECT count(*) FROM deliveries WHERE organization_id = 'org_t' AND destination = 'billing'")" \
	2 'one failure told, one recovery'

# Unmatched, until the customer is known; the alert about it waits.
{
	event evt_u1 customer.subscription.created 1700000000 "$(subscription sub_u cus_u active)"
	event evt_u2 invoice.payment_failed 1700000100 "$(invoice in_u cus_u sub_u 1 "$unpaid")"
} >in
take <in
is "$(outcome out)" 'unmatched unmatched ' 'nobody has that customer'
is "$(sql "SELECT count(*) || ' ' || (due_at - created_at) FROM system_alerts a JOIN alert_messages m ON m.alert_id = a.id JOIN deliveries d ON d.id = m.delivery_id WHERE a.kind = 'stripe.unmatched'")" \
	'1 900' 'one alert, a quarter of an hour later'
echo '{"id":"org_u","stripe_customer_id":"cus_u","owner_email":"a@b.example"}' |
	run automate-onboard --later
is "$(sql "SELECT group_concat(outcome) FROM events WHERE id LIKE 'evt_u%'")" \
	recorded,recorded 'decided as soon as somebody has it'
is "$(sql "SELECT status FROM organizations WHERE id = 'org_u'")" past_due \
	'in the order in which it happened'
is "$(sql "SELECT count(*) FROM system_alerts WHERE kind = 'stripe.unmatched' AND resolved_at IS NULL")" \
	0 'and the alert is over'

# Several that wait, each owing a message of its own: decided once each, though
# the first of them changes the organization.
{
	event evt_w1 customer.subscription.created 1700000000 "$(subscription sub_w cus_w trialing)"
	event evt_w2 customer.subscription.trial_will_end 1700000100 "$(subscription sub_w cus_w trialing)"
	event evt_w3 invoice.payment_action_required 1700000200 "$(invoice in_w cus_w sub_w 1 "$unpaid")"
} >in
take <in
echo '{"id":"org_w","stripe_customer_id":"cus_w","owner_email":"a@b.example"}' >in
run automate-onboard --later <in
is_status 0 'three events that wait keep nobody from being linked'
is "$(sql "SELECT group_concat(outcome) FROM events WHERE id LIKE 'evt_w%'")" \
	recorded,recorded,recorded 'each is decided'
is "$(sql "SELECT group_concat(step) FROM (SELECT step FROM deliveries WHERE event_id LIKE 'evt_w%' AND alert_kind IS NULL ORDER BY id)")" \
	trial_ends,payment_action_required 'once'

# One that claims the organization tells its customer, for whom another waits.
{
	event evt_v1 invoice.payment_failed 1700000200 "$(invoice in_v cus_v sub_v 1 "$unpaid")"
	event evt_v2 customer.subscription.created 1700000000 \
		"$(subscription sub_v cus_v active | sed 's/"metadata":{}/"metadata":{"organization_id":"org_v"}/')"
} >in
take <in
echo '{"id":"org_v","owner_email":"a@b.example"}' | run automate-onboard --later
is "$(sql "SELECT group_concat(outcome) || (SELECT status FROM organizations WHERE id = 'org_v') FROM events WHERE id LIKE 'evt_v%'")" \
	recorded,recordedpast_due 'a claim brings those of its customer along'
is "$(sql "SELECT count(*) FROM system_alerts WHERE kind = 'stripe.unmatched' AND resolved_at IS NULL")" \
	0 'and ends their alert'

# Onboarding once, whichever comes first.
checkout() { # ID ORGANIZATION CUSTOMER
	event "$1" checkout.session.completed 1700000000 "{\"id\":\"cs_$1\",\"object\":\"checkout.session\",\"mode\":\"subscription\",\"payment_status\":\"paid\",\"customer\":\"$3\",\"subscription\":\"sub_$3\",\"client_reference_id\":\"$2\",\"customer_details\":{\"email\":\"a@b.example\",\"name\":\"A\"}}"
}
checkout evt_c1 org_c1 cus_c1 >in
take <in
echo '{"id":"org_c1","name":"A","owner_email":"a@b.example"}' | run automate-onboard --later
is "$(outcome out)" 'duplicate ' 'a checkout, then the row at Supabase: onboarded once'
like "$(cat out)" '"redirect":"https://app.example.com/onboarding' 'with the redirect'
echo '{"id":"org_c2","name":"A","owner_email":"a@b.example"}' | run automate-onboard --later
checkout evt_c2 org_c2 cus_c2 >in
take <in
is "$(sql "SELECT group_concat(n) FROM (SELECT count(*) AS n FROM deliveries WHERE step = 'welcome' AND organization_id IN ('org_c1', 'org_c2') GROUP BY organization_id)")" \
	1,1 'one welcome each'
is "$(sql "SELECT stripe_customer_id FROM organizations WHERE id = 'org_c2'")" \
	cus_c2 'and linked'

# Every pair, in both orders, in the same second and not, ends the same.
fact() { # ID KIND CREATED SUFFIX
	case $2 in
	failed) event "$1" invoice.payment_failed "$3" "$(invoice "in_$4" "cus_$4" "sub_$4" 1 "$unpaid")" ;;
	paid) event "$1" invoice.paid "$3" "$(invoice "in_$4" "cus_$4" "sub_$4" 1 "$paid")" ;;
	past_due) event "$1" customer.subscription.updated "$3" "$(subscription "sub_$4" "cus_$4" past_due)" ;;
	active) event "$1" customer.subscription.updated "$3" "$(subscription "sub_$4" "cus_$4" active)" ;;
	deleted) event "$1" customer.subscription.deleted "$3" "$(subscription "sub_$4" "cus_$4" canceled)" ;;
	esac
}
kinds='failed paid past_due active deleted'
: >organizations
: >pairs
for a in $kinds; do
	for b in $kinds; do
		[ "$a" != "$b" ] || continue
		for gap in 0 60; do
			for order in ab ba; do
				s=$a-$b-$gap-$order
				echo "{\"id\":\"o_$s\",\"stripe_customer_id\":\"cus_$s\"}" >>organizations
				fact "evt_0_$s" active 1700000000 "$s"
				one=$(fact "evt_1_$s" "$a" 1700001000 "$s")
				two=$(fact "evt_2_$s" "$b" $((1700001000 + gap)) "$s")
				[ $order = ab ] && printf '%s\n' "$one" "$two"
				[ $order = ba ] && printf '%s\n' "$two" "$one"
			done
		done
	done
done >pairs
automate-onboard --later <organizations >/dev/null 2>&1
take <pairs
is_status 0 'eighty pairs'
cat >ends.sql <<-END
	CREATE TEMP VIEW ends AS SELECT o.id, substr(o.id, 1, length(o.id) - 3) AS pair,
	    o.status || ',' || o.subscription_status || ',' || coalesce(
	    (SELECT state FROM invoices i WHERE i.organization_id = o.id), '-') || ',' ||
	    (SELECT count(*) FROM dunning d WHERE d.organization_id = o.id AND closed_at IS NULL)
	    AS state FROM organizations o WHERE o.id LIKE 'o\\_%-%' ESCAPE '\\';
	SELECT a.pair, a.state, b.state FROM ends a JOIN ends b ON a.pair = b.pair
	    AND a.id LIKE '%-ab' AND b.id LIKE '%-ba' WHERE a.state <> b.state;
END
sqlite3 "$DB" <ends.sql >differ
is "$(cat differ)" '' 'both orders of each end the same'
end_of() {
	sql "SELECT status || coalesce((SELECT ' ' || closed_why FROM dunning WHERE organization_id = o.id), '') || (SELECT CASE count(*) WHEN 0 THEN '' ELSE ' open' END FROM dunning WHERE organization_id = o.id AND closed_at IS NULL) FROM organizations o WHERE id = 'o_$1'"
}
is "$(end_of failed-paid-60-ab)" 'active paid' 'failed, then paid'
is "$(end_of failed-past_due-0-ba)" 'past_due open' 'past due told before its cause'
is "$(end_of failed-deleted-60-ab)" 'canceled canceled' 'failed, then deleted'
is "$(end_of deleted-active-60-ab)" 'canceled' 'nothing revives what is over'

# Bad input.
printf '{"id":"evt_x"}\n{"no": 1\n' >in
take <in
is_status 65 'no event of Stripe'
is "$(sql "SELECT count(*) FROM events WHERE id = 'evt_x'")" 0 'and no trace of it'
run automate-stripe-event --later <"$data/invoice.payment_failed.json"
is_status 77 'no signature'
is "$(cat out)" '' 'nothing acknowledged'
# Signed: over the very bytes, blanks and line ends included.
sed 's/evt_1v3W0hmOThUfLv3ISu8AkuPB/evt_signed/' "$data/invoice.payment_failed.json" >body
run automate-stripe-event --later -s "$(sign stripe whsec_new <body)" <body
is_status 0 'a signature'
like "$(cat out)" '"secret":2' 'and which secret made it'
run env HTTP_STRIPE_SIGNATURE="$(sign stripe whsec_old <body)" automate-stripe-event --later <body
is_status 0 'in the environment'
like "$(cat out)" '"outcome":"duplicate"' 'the same event'
sed 's/evt_signed/evt_forged/' body >forged
run automate-stripe-event --later -s "$(sign stripe whsec_new <body)" <forged
is_status 77 'other bytes'
run automate-stripe-event --later -s "$(sign stripe whsec_no <forged)" <forged
is_status 77 'another secret'
run automate-stripe-event --later -s "$(sign stripe whsec_new 1700000000 <forged)" <forged
is_status 77 'too old'
run automate-stripe-event --later -s "" <forged
is_status 77 'an empty header'
sed '/webhook_secret/d' automate.yaml >unset.yaml
run automate-stripe-event -c unset.yaml --later -s "$(sign stripe '' <forged 2>/dev/null || echo t=1,v1=00)" <forged
is_status 77 'no secret is configured'
is "$(sql "SELECT count(*) FROM events WHERE id = 'evt_forged'")" 0 'not one row'
unlike "$(cat err)" whsec_ 'no secret is said'
run env GATEWAY_INTERFACE=CGI/1.1 automate-stripe-event --unsigned --later <"$data/invoice.payment_failed.json"
is_status 77 '--unsigned is refused under CGI'

# By hand: waits for the deliveries it has caused, onboarding and what was
# unmatched included, and for no other.
others=$(sql "SELECT count(*) FROM deliveries WHERE state = 'queued' AND due_at <= $(date +%s)")
ok 'others are due' [ "$others" -gt 0 ]
event evt_hf invoice.payment_failed 1700000100 "$(invoice in_h cus_h sub_h 1 "$unpaid")" >in
take <in
checkout evt_h org_h cus_h >in
run automate-stripe-event --unsigned <in
is_status 0 'by hand'
is "$(sql "SELECT group_concat(step || ' ' || state, ', ') FROM (SELECT * FROM deliveries WHERE organization_id = 'org_h' AND step NOT LIKE 'day%' ORDER BY step)")" \
	"new_customer done, payment_failed done, welcome done" \
	'what the event made happen is delivered at once'
is "$(sql "SELECT count(*) FROM deliveries WHERE state = 'queued' AND organization_id IS NOT 'org_h' AND due_at <= $(date +%s)")" \
	"$others" 'and nothing of others'

# Usage that Stripe could not count: the event does not say why, Stripe does.
rm -f automate.db*
cat >>automate.yaml <<-END
	  secret_key: sk_test_secret
	  api_base: $URL
END
echo '{"id":"evt_test_m","object":"v2.core.event","type":"v1.billing.meter.error_report_triggered","created":"2026-11-01T10:00:11.123Z","livemode":false,"related_object":{"id":"mtr_1","type":"billing.meter","url":"/v1/billing/meters/mtr_1"}}' >thin
take <thin
next=$(sql "SELECT next_command FROM system_alerts WHERE kind = 'usage.meter_errors'")
is "$next" 'automate-reconcile --explain evt_test_m' 'the alert says how to ask why'
reasons='{"developer_message_summary":"There is 1 invalid event","validation_start":"2026-11-01T10:00:00.000Z","validation_end":"2026-11-01T10:00:10.000Z","reason":{"error_count":1,"error_types":[{"code":"meter_event_customer_not_found","error_count":1,"sample_errors":[{"error_message":"No customer cus_9","request":{"identifier":"usage:org_9:2026-10-31:40"}}]}]}}'
script "/v2/core/events/evt_test_m 200 body=$(sed "s|}\$|,\"data\":$reasons}|" thin)"
# shellcheck disable=SC2086 # a command of words
run $next
is_status 0 'asked'
is "$(cat out)" '2026-11-01T10:00:00.000Z to 2026-11-01T10:00:10.000Z: There is 1 invalid event
meter_event_customer_not_found: 1
  usage:org_9:2026-10-31:40: No customer cus_9' 'it says what was wrong, with examples'
run automate-reconcile --json --explain evt_test_m
is "$(json out '$.data.reason.error_types[0].code')" \
	meter_event_customer_not_found 'or as Stripe has it'
script '/v2/core/events/evt_gone 404 body={"error":{"type":"invalid_request_error","code":"resource_missing","message":"No such event"}}'
run automate-reconcile --explain evt_gone
is_status 65 'an event that Stripe has no more'

# Killed at every call that touches the database.
if strace -o /dev/null true 2>/dev/null; then
	calls=pwrite64,fdatasync,fsync,ftruncate,fcntl,unlink,openat
	rm -f automate.db*
	echo '{"id":"org_k","stripe_customer_id":"cus_k","owner_email":"a@b.example"}' |
		automate-onboard --later >/dev/null 2>&1
	event evt_k invoice.payment_failed 1700000100 "$(invoice in_k cus_k sub_k 1 "$unpaid")" >in
	sqlite3 automate.db 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null
	cp automate.db fresh.db
	broken=
	n=$((1 - KILL_STEP))
	while n=$((n + KILL_STEP)); [ $n -lt 2000 ]; do
		rm -f automate.db*
		cp fresh.db automate.db
		strace -qq -o trace -e "trace=$calls" -e "inject=$calls:signal=KILL:when=$n" \
			automate-stripe-event --unsigned --later <in >out 2>err
		[ $? -ge 128 ] || break
		automate-stripe-event --unsigned --later <in >out 2>&1 || broken="$broken $n"
		[ "$(sql "SELECT (SELECT count(*) FROM events WHERE id = 'evt_k') || status || (SELECT count(*) FROM dunning) || (SELECT count(*) FROM deliveries WHERE step = 'payment_failed') FROM organizations")" = 1past_due11 ] ||
			broken="$broken $n"
	done
	ok "a failed payment was killed among its first $((n - 1)) calls" [ $n -gt 10 ]
	is "$broken" '' 'each time the next run had one of each'
else
	tap_pass 'killed at every call # SKIP strace may not trace here'
fi
done_testing
