#!/bin/sh
# A newcomer follows automate-setup(7): every display of it, in its order, in
# one shell, from make install into an empty folder to a web server that takes
# requests. What only root may do to a machine, and what would go out to the
# world, is stood in for.
. "$(dirname "$0")/../lib.sh"
PATH=$PATH:/usr/sbin
make=$(command -v gmake || command -v make) || skip_all 'no make'
lighttpd=$(command -v lighttpd) || skip_all 'no lighttpd'
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
# shellcheck disable=SC2119 # no options
start_httpd
ROOT=$SCRATCH/root
mkdir -p "$ROOT/etc/lighttpd" "$ROOT/etc/systemd/system" "$ROOT/var/log" empty stubs
probe=$(httpd -d -q -r probe -p probe.port) || exit 1
port=$(cat probe.port)
kill "$probe"
wait_for 5 sh -c "! kill -0 $probe"

# The commands as they were built for this, found first.
PATH=$SCRATCH/stubs:$ROOT/usr/local/bin:$PATH
unset AUTOMATE_DATABASE

# placed: standard input with the folders and the address of this test.
placed() {
	sed -E -e "s#(^|[^A-Za-z0-9._/])/(usr/local|etc/automate|etc/lighttpd|etc/systemd|var/lib/automate|var/backups|var/log)#\1$ROOT/\2#g" \
		-e "s#https://hooks.example.com#http://127.0.0.1:$port#g" \
		-e "s#/var/empty#$SCRATCH/empty#g" \
		-e 's# -o (root|automate) -g automate##g'
}

stub() {
	cat >"stubs/$1"
	chmod 755 "stubs/$1"
}
for name in apt-get useradd usermod crontab certbot; do
	stub $name <<-END
	#!/bin/sh
	echo "$name \$*" >>"$SCRATCH/stood-in"
	END
done
stub make <<-END
#!/bin/sh
exec "$make" -s -C "$TOP" BUILD="$BUILD" SAN="${SAN:-}" DESTDIR="$ROOT" "\$@"
END
stub runuser <<-END
#!/bin/sh
[ "\$1 \$2 \$3" = '-u automate --' ] || exit 64
shift 3
exec "\$@"
END
# The server as the example has it, but for its user, its port and TLS.
stub systemctl <<-END
#!/bin/sh
echo "systemctl \$*" >>"$SCRATCH/stood-in"
case "\$*" in
stop*lighttpd*) [ ! -f "$SCRATCH/server" ] || kill "\$(cat "$SCRATCH/server")" ;;
start*lighttpd*)
	sed -e '/^server.username/,/^}/d' -e 's|8080|$port|' \\
		"$ROOT/etc/lighttpd/lighttpd.conf" | "$SCRATCH/placed" >"$SCRATCH/server.conf"
	mkdir -p "$ROOT/var/log/lighttpd"
	"$lighttpd" -D -f "$SCRATCH/server.conf" >"$SCRATCH/server.log" 2>&1 &
	echo \$! >"$SCRATCH/server"
	n=0
	until curl -s -o /dev/null "http://127.0.0.1:$port/"; do
		n=\$((n + 1))
		[ \$n -lt 500 ] || exit 1
		sleep 0.02
	done ;;
esac
END
cat >placed <<END
#!/bin/sh
ROOT=$ROOT SCRATCH=$SCRATCH port=$port
$(sed -n '/^placed() {/,/^}/p' "$TOP/tests/cmd/setup.t")
placed
END
chmod 755 placed

# Displays, in files: the JSON apart, the rest one script.
awk '
/^\.Sh / { examples = /EXAMPLES/ }
/^\.Bd .*-literal/ { n++; display = !examples; next }
/^\.Ed/ { display = 0; print "" >"script.1"; next }
display && !(n in kind) { kind[n] = /^\{/ ? "json." ++json : "script.1" }
display { print >kind[n] }
' "$TOP/man/automate-setup.7"
sed 's/\\&//g;s/\\-/-/g;s/\\(aq/'"'"'/g;s/\\(ti/~/g;s/\\e/\\/g' script.1 |
	placed >guide
is "$(find . -maxdepth 1 -name 'json.*' | wc -l)" 2 'two bodies are shown'
like "$(grep -c . guide)" '^[1-9][0-9]{2}' 'and a hundred lines and more to type'

# What is asked for, in the order of asking.
answer() {
	case $1 in
	APP_URL) echo https://app.example.com ;;
	NOTION_KB_URL) echo https://kb.example.com ;;
	SLACK_WEBHOOK_URL) echo "$URL/slack-customers" ;;
	SLACK_ALERT_WEBHOOK_URL) echo "$URL/slack-alerts" ;;
	MAKE_WEBHOOK_URL) echo "$URL/mail" ;;
	BILLING_AUTOMATION_WEBHOOK_URL) echo "$URL/billing" ;;
	STRIPE_SECRET_KEY) echo sk_test_setup ;;
	STRIPE_WEBHOOK_SECRET) echo 'whsec_one whsec_two' ;;
	STRIPE_AI_CALLS_METER_ID) echo mtr_1 ;;
	RETELL_API_KEY) echo key_setup ;;
	RETELL_AGENT_ID) echo agent_1 ;;
	RETELL_FROM_NUMBER) echo +14155550100 ;;
	FOUNDER_PHONE) echo +14155550199 ;;
	TWILIO_ACCOUNT_SID) echo AC0123456789abcdef0123456789abcdef ;;
	TWILIO_AUTH_TOKEN) echo 0123456789abcdef0123456789abcdef ;;
	TWILIO_FROM) echo +14155550101 ;;
	*) echo "unexpected: $1" >&2 ;;
	esac
}
sed -n 's/^put \([A-Z_]*\)$/\1/p' guide | while read -r name; do
	answer "$name"
done >answers

# The providers, as far as they are asked.
events=$(sed -n 's/^# events: //p' guide | tr ' ' '\n' | sed 's/.*/"&"/' | paste -sd, -)
script '/slack-customers 200 body=ok' '/slack-alerts 200 body=ok' \
	'/v1/billing/meters/mtr_1 200 body={"id":"mtr_1","object":"billing.meter","livemode":false,"status":"active","event_name":"ai_calls","default_aggregation":{"formula":"sum"},"customer_mapping":{"type":"by_id","event_payload_key":"stripe_customer_id"},"value_settings":{"event_payload_key":"value"},"event_time_window":null}' \
	"/v1/webhook_endpoints 200 body={\"object\":\"list\",\"has_more\":false,\"data\":[{\"id\":\"we_1\",\"object\":\"webhook_endpoint\",\"livemode\":false,\"status\":\"enabled\",\"url\":\"http://127.0.0.1:$port/automate/stripe-webhook\",\"enabled_events\":[$events]}]}" \
	'/get-concurrency 200 body={"current_concurrency":0,"concurrency_limit":20}' \
	'/2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef/Messages.json 201 body={"sid":"SM1","status":"queued"}'
STRIPE_API_BASE=$URL RETELL_API_BASE=$URL TWILIO_API_BASE=$URL
AUTOMATE_CONFIG=$ROOT/etc/automate/automate.yaml
export STRIPE_API_BASE RETELL_API_BASE TWILIO_API_BASE AUTOMATE_CONFIG

run timeout 120 sh -eux guide <answers
[ ! -f server ] || kill_at_exit "$(cat server)"
# With -x the last line of standard error is the one that failed.
tail -n 20 err >why
is_status 0 'every line of the guide does what it should'
DB=$ROOT/var/lib/automate/automate.db
ok 'nothing of it is left to be asked for' sh -c '! grep -E "[$][{](SLACK|MAKE|BILLING|STRIPE_[SWA]|RETELL_[AF]|TWILIO_[AF]|FOUNDER|APP|NOTION|ONB|CRON)[A-Z_]*:-" '"$AUTOMATE_CONFIG"' | grep -v -e STRIPE_API -e RETELL_API_B -e TWILIO_API -e SMS_W'
is "$(stat -c %a "$AUTOMATE_CONFIG" "$ROOT/var/lib/automate" "$DB" | tr '\n' ' ')" \
	'640 2770 660 ' 'modes are as the guide says'
like "$(cat stood-in)" '^useradd --system .*automate$' 'the user is made'
like "$(cat stood-in)" "^crontab -u automate $ROOT/usr/local/share/automate/crontab$" \
	'and has its schedule'
is "$(sql "SELECT outcome FROM events WHERE id = 'onboard:org_test'")" recorded \
	'the test customer came through the web server'
is "$(sql "SELECT deleted_at IS NOT NULL FROM organizations WHERE id = 'org_test'")" 1 \
	'and is gone'
is "$(sql "SELECT count(*) FROM system_alerts WHERE kind = 'call.failed'")" 1 \
	'so did the failure'

# What a look says now; the guide's last lines stopped the server, to move.
systemctl start lighttpd
kill_at_exit "$(cat server)"
run automate-check --live
like "$(cat out)" '^ok +live.stripe.endpoint .*with all events' \
	'the events to tick are all that matter'
like "$(cat out)" '^ok +live.cgi .*through the web server' \
	'a signed event goes round'
is "$(grep '^fail' out)" '' 'nothing fails'
is "$(grep '^warn' out | awk '{ print $2 }' | grep -v '^cron\.')" '' \
	'and but for cron, which does not run here, all is well'

# The bodies shown are those that are sent, key for key.
keys() {
	sqlite3 :memory: "SELECT group_concat(key) FROM json_each(readfile('$1'))"
}
echo '{"id":"org_1","name":"Example GmbH","owner_name":"Ann Example","owner_email":"ann@example.com","plan":"pro","stripe_customer_id":"cus_1"}' |
	automate-onboard -q >out 2>err
grep -F 'onboard:org_1:welcome' requests | grep -F '/mail"' >request
json request '$.body' >body
is "$(keys json.1)" "$(keys body)" 'what a welcome sends'
now=$(date +%s)
sed "s/\"created\": *[0-9]*/\"created\":$now/;s/\"livemode\": *true/\"livemode\":false/" \
	>event <<-END
{"id":"evt_1","object":"event","type":"invoice.payment_failed","created": 1,"livemode":false,"data":{"object":{"id":"in_1","object":"invoice","customer":"cus_1","status":"open","billing_reason":"subscription_cycle","amount_remaining":4900,"currency":"usd","attempt_count":1,"parent":{"type":"subscription_details","subscription_details":{"subscription":"sub_1"}}}}}
END
HTTP_STRIPE_SIGNATURE=$(sign stripe whsec_two <event)
export HTTP_STRIPE_SIGNATURE
run automate-stripe-event -q <event
grep -F 'evt_1:payment_failed' requests | grep -F '/billing"' >request
json request '$.body' >body
is "$(keys json.2)" "$(keys body)" 'what a failed payment sends'
done_testing
