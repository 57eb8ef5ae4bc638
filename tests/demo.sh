#!/bin/sh
# make demo: the flows on loopback, on one screen. Leaves demo/ for looking at.
set -eu

TOP=$(cd "$(dirname "$0")/.." && pwd)
BUILD=${BUILD:-build}
case $BUILD in
/*) ;;
*) BUILD=$TOP/$BUILD ;;
esac
PATH=$BUILD:$BUILD/tests:$PATH
rm -rf "$TOP/demo"
mkdir "$TOP/demo"
cd "$TOP/demo"

say() { printf '\n== %s\n' "$*"; }
short() { cut -c1-"${1:-120}"; }

# at DAYS [SECONDS]: ten in the morning, so many days from today.
at() {
	sqlite3 :memory: "SELECT strftime('%Y-%m-%dT%H:%M:%SZ', 'now', 'start of day', '+10 hours', '$1 days', '${2:-0} seconds')"
}
seconds() {
	sqlite3 :memory: "SELECT CAST(strftime('%s', '$1') AS INTEGER)"
}

# What Slack, the mail webhooks, the SMS gateway, Stripe and Retell answer. The
# first post about a new customer fails, to show a retry.
invoice() { # ORGANIZATION STATUS
	echo "{\"id\":\"in_$1\",\"object\":\"invoice\",\"livemode\":false,\"status\":\"$2\",\"customer\":\"cus_$1\",\"subscription\":\"sub_$1\",\"billing_reason\":\"subscription_cycle\",\"attempt_count\":1,\"amount_due\":2900,\"amount_remaining\":2900,\"amount_paid\":0,\"currency\":\"usd\",\"hosted_invoice_url\":\"https://invoice.stripe.com/i/$1\",\"next_payment_attempt\":null}"
}
cat >script <<END
/new-customers 503 body=try later
/new-customers 200 body=ok
/alerts 200 body=ok
/mail 200 body=Accepted
/billing 200 body=Accepted
/sms 200 body=ok
/v1/invoices/in_acme 200 body=$(invoice acme open)
/v1/subscriptions/sub_acme 200 body={"id":"sub_acme","object":"subscription","livemode":false,"status":"past_due","customer":"cus_acme","latest_invoice":$(invoice acme open)}
/v1/billing/meters/mtr_demo 200 body={"id":"mtr_demo","object":"billing.meter","livemode":false,"status":"active","event_name":"ai_calls","default_aggregation":{"formula":"sum"},"event_time_window":null,"customer_mapping":{"type":"by_id","event_payload_key":"stripe_customer_id"},"value_settings":{"event_payload_key":"value"}}
/v2/create-phone-call 402 body={"status":"error","message":"No valid payment method"}
/v1/billing/meters/mtr_demo/event_summaries 200 body={"object":"list","data":[],"has_more":false}
END
receiver=$(httpd -d -r requests -p port -s script)
trap 'kill "$receiver" 2>/dev/null' EXIT
url=http://127.0.0.1:$(cat port)
cat >automate.yaml <<EOF
database:
  path: automate.db
links:
  app_url: https://app.example.com
  knowledge_base_url: https://kb.example.com
mail:
  url: $url/mail
billing:
  url: $url/billing
slack:
  customers:
    url: $url/new-customers
  alerts:
    url: $url/alerts
    rate: unlimited
sms:
  provider: webhook
  to: "+15550100123"
  url: $url/sms
stripe:
  secret_key: sk_test_demo
  webhook_secret: whsec_demo
  meter_id: mtr_demo
  api_base: $url
retell:
  api_key: key_demo
  from_number: "+15550100"
  api_base: $url
EOF
AUTOMATE_CONFIG=$PWD/automate.yaml
export AUTOMATE_CONFIG

body=$TOP/tests/data/supabase/organizations-insert-starter.json
say 'ONBOARDING. A new organization comes in; Slack is down just now:'
automate-onboard <"$body" 2>&1 | short
say 'The same again does nothing; ten minutes later Slack is well:'
automate-onboard --later <"$body" 2>&1 | short 76
automate-deliver --now "$(sqlite3 :memory: "SELECT strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '10 minutes')")" 2>&1

# fact ID TYPE SECONDS OBJECT: a Stripe event, signed.
fact() {
	echo "{\"id\":\"$1\",\"object\":\"event\",\"created\":$3,\"livemode\":false,\"type\":\"$2\",\"data\":{\"object\":$4}}" >event.json
	automate-stripe-event -q -s "$(sign stripe whsec_demo <event.json)" <event.json
}
subscription() { # ORGANIZATION
	echo "{\"id\":\"sub_$1\",\"object\":\"subscription\",\"customer\":\"cus_$1\",\"status\":\"active\",\"metadata\":{\"plan\":\"pro\"}}"
}
say 'PAYMENTS. Two customers fail to pay; Bolt pays on day 8, Acme does not:'
AUTOMATE_NOW=$(at 0)
export AUTOMATE_NOW
printf '%s\n' '{"id":"acme","name":"Acme","stripe_customer_id":"cus_acme","owner_email":"ann@acme.example"}' \
	'{"id":"bolt","name":"Bolt","stripe_customer_id":"cus_bolt","owner_email":"bob@bolt.example"}' |
	automate-onboard -q --later >/dev/null
start=$(seconds "$AUTOMATE_NOW")
for who in acme bolt; do
	fact "evt_1_$who" customer.subscription.updated $((start - 86400)) "$(subscription $who)" >/dev/null
	fact "evt_2_$who" invoice.payment_failed "$start" "$(invoice $who open)" | short
done
for day in 1 3 7 8 14; do
	AUTOMATE_NOW=$(at $day 60)
	[ $day != 8 ] || fact evt_3_bolt invoice.paid $((start + 8 * 86400)) \
		"$(invoice bolt paid | sed 's/"amount_remaining":2900,"amount_paid":0/"amount_remaining":0,"amount_paid":2900/')" | short
	automate-dunning -q >/dev/null 2>&1
done
sed -n 's/.*"path":"\/billing".*\\"step\\":\\"\([a-z_0-9]*\)\\".*\\"organization_id\\":\\"\([a-z]*\)\\".*/\2 \1/p' requests |
	awk '{ told[$1] = told[$1] " " $2 } END { for (who in told) print "  told " who ":" told[who] }' | sort
sqlite3 automate.db "SELECT '  ' || name || ' is ' || status || ', on plan ' || plan FROM organizations WHERE id IN ('acme', 'bolt')"
unset AUTOMATE_NOW

say 'CALLS. Retell refuses a call, and would refuse the next one too:'
echo '{"id":"lead_7","organization_id":"bolt","name":"Lee","phone":"+14155550142","status":"pending","created_at":"2026-01-01T00:00:00Z"}' |
	automate-call 2>&1 | short || :
sqlite3 automate.db "SELECT '  lead ' || id || ' is ' || status FROM leads"

say 'USAGE. Twelve calls of Bolt yesterday, reported to the meter; again: nothing'
yesterday=$(seconds "$(at -1)")
sqlite3 automate.db "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12)
	INSERT INTO calls (id, call_id, organization_id, state, placed_at, connected, created_at)
	SELECT 'k' || i, 'call_' || i, 'bolt', 'ended', $yesterday + i, 1, $yesterday FROM n"
for again in 0 60; do
	automate-reconcile -q --now "$(at 0 $((again - 28800)))" 2>&1 | short
done
grep -c '"/v1/billing/meter_events"' requests | sed 's/^/  meter events at Stripe: /'

say 'What each receiver got, and the alerts that are open:'
sed -n 's/.*"path":"\([^"]*\)".*/\1/p' requests | sort | uniq -c
automate-log list --open | short
cat <<EOF

The database and the configuration stay in demo/. Try:
  export PATH=$BUILD:\$PATH AUTOMATE_CONFIG=$PWD/automate.yaml
  automate-log why acme
  automate-deliver list
  automate-dunning --list
  automate-check
EOF
