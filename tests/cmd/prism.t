#!/bin/sh
# Stripe's own description of its API takes every request we make there: what
# lib/net/stripe reads, and what the outbox writes.
. "$(dirname "$0")/../lib.sh"
start_prism || skip_all "$prism_missing"

# reads PATTERN PATH [NAME VALUE]...
reads() {
	reads_pattern=$1
	shift
	run stripe-get "$@"
	is_status 0 "GET $*"
	like "$(cat out)" "$reads_pattern" 'is answered as we read it'
}

reads '"object":"subscription"' /v1/subscriptions/sub_1 'expand[]' latest_invoice
reads '"object":"invoice"' /v1/invoices/in_1
reads '"default_aggregation":' /v1/billing/meters/mtr_1
reads '"aggregated_value":' /v1/billing/meters/mtr_1/event_summaries \
	customer cus_1 start_time 1793577600 end_time 1793664000 \
	value_grouping_window day
reads '"object":"list"' /v1/webhook_endpoints limit 100
reads '"object":"list"' /v1/events 'types[]' invoice.paid \
	'types[]' invoice.payment_failed delivery_success false limit 100

# It does look at them.
run stripe-get /v1/billing/meters/mtr_1/event_summaries start_time yesterday
is_status 69 'a request with a field missing is refused'
like "$(cat err)" '^stripe-get: Stripe, GET /v1/billing/[^ ]*: 400, ' \
	'in words'
run stripe-get /v1/invoices/in_1 __code 404
is_status 0 'what is missing is an answer'
is "$(cat out)" absent 'namely that'
run stripe-get /v1/invoices/in_1 __code 429
is_status 75 'a full Stripe: not now'
is "$(grep -c 'get /v1/invoices/in_1' prism.log)" 5 'after three tries'

# owe NAME METHOD PATH FORM: a delivery that is due now.
owe() {
	sqlite3 "$DB" "INSERT INTO deliveries (idempotency_key, destination,
	    step, body, state, due_at, expires_at, created_at)
	    VALUES ('$1', 'stripe.api', 'test',
	    json_object('method', '$2', 'path', '$3', 'form', json('$4')),
	    'queued', 0, 9999999999, 0)"
}

state() {
	sql "SELECT state FROM deliveries WHERE idempotency_key = '$1'"
}

automate-deliver -q || exit 1
owe usage POST /v1/billing/meter_events '{"event_name":"ai_calls",
    "payload[stripe_customer_id]":"cus_1","payload[value]":"25",
    "identifier":"usage:org_1:2026-11-02:25","timestamp":"1793664000"}'
owe cancel DELETE /v1/subscriptions/sub_1 '{}'
run automate-deliver
is_status 0 'the outbox writes to Stripe'
is "$(state usage)" "done" 'a meter event is taken'
is "$(state cancel)" "done" 'and so is the end of a subscription'
owe wrong POST /v1/billing/meter_events '{"event_name":"ai_calls"}'
run automate-deliver
is "$(state wrong)" dead 'a meter event that says nothing is not'

# A night of usage, whose every request it takes.
sqlite3 "$DB" "INSERT INTO organizations (id, status, status_at,
    stripe_customer_id, created_at) VALUES ('org_1', 'active', 0, 'cus_1', 0);
    INSERT INTO calls (id, organization_id, state, placed_at, created_at)
    VALUES ('c1', 'org_1', 'ended', unixepoch('2026-11-27'), 0)"
STRIPE_AI_CALLS_METER_ID=mtr_1
export STRIPE_AI_CALLS_METER_ID
run automate-reconcile --now 2026-11-28T02:00:00Z
is "$(state usage:org_1:2026-11-27:1)" "done" 'a report of automate-reconcile'
run automate-reconcile --now 2026-11-28T09:00:00Z
like "$(cat out)" '"compared":1,.*"unreadable":0,' 'and what it compares with'
done_testing
