#!/bin/sh
# make bench: one figure a line, ratios first. Medians, of commands run in turns
# (measure.c). Nothing here passes or fails; what a figure should be is said.
# A row is a function; at the end they are called, those with ratios first.
set -eu

TOP=$(cd "$(dirname "$0")/../.." && pwd)
case $BUILD in
/*) ;;
*) BUILD=$TOP/$BUILD ;;
esac
PATH=$BUILD:$BUILD/tests:$PATH
scratch=$(mktemp -d "$BUILD/bench.XXXXXX")
receiver=
trap '[ -z "$receiver" ] || kill "$receiver" 2>/dev/null; rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
cd "$scratch"
for name in $(env | sed -n 's/^\(AUTOMATE_[A-Z_]*\)=.*/\1/p'); do
	unset "$name"
done
"${CC:-cc}" -O2 -D_DEFAULT_SOURCE -o measure "$TOP/tests/bench/measure.c"
"${CC:-cc}" -O2 -o onerow "$TOP/tests/bench/onerow.c" -lsqlite3

# figure VALUE WORDS...
figure() {
	value=$1
	shift
	printf '%8s  %s\n' "$value" "$*"
}

# ratio A B: A divided by B, with two decimals.
ratio() {
	awk "BEGIN { printf \"%.2f\", $1 / $2 }"
}

ms() {
	awk "BEGIN { printf \"%.1f ms\", $1 / 1000 }"
}

mib() {
	awk "BEGIN { printf \"%.1f MiB\", $1 / 1024 }"
}

median() {
	sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# repeated TIMES PREPARE MEASURE...: measure TIMES times, each time anew; the
# median of the microseconds, and the KiB of the last, in $us and $kib.
repeated() {
	times=$1 prepare=$2
	shift 2
	: >took
	while [ "$times" -gt 0 ]; do
		times=$((times - 1))
		"$prepare"
		./measure "$@" >last
		cat last >>took
	done
	us=$(median <took)
	kib=$(cut -d ' ' -f 2 last)
}

# config FILE LINE...: a configuration with its own database, which is left to
# be the one in force.
config() {
	AUTOMATE_CONFIG=$PWD/$1.yaml
	export AUTOMATE_CONFIG
	shift
	{
		printf 'database:\n  path: %s.db\n' "${AUTOMATE_CONFIG%.yaml}"
		printf '%s\n' "$@"
	} >"$AUTOMATE_CONFIG"
}

organizations() {
	seq "$1" | sed "s/.*/{\"id\":\"$2&\",\"name\":\"Batch\",\"owner_email\":\"a@b.example\"}/"
}

bench_exec() {
	config exec 'links:' '  app_url: https://app.example.com' \
		'mail:' '  url: http://127.0.0.1:9/mail' \
		'slack:' '  customers:' '    url: http://127.0.0.1:9/slack'
	organizations 201 one >lines
	echo '{"id":"first"}' | automate-onboard -q --later >/dev/null
	./measure -n 201 -l lines -- automate-onboard -q --later \
		-- ./onerow exec.db >took
	ours=$(sed -n '1s/ .*//p' took)
	bare=$(sed -n '2s/ .*//p' took)
	figure "$(ratio "$ours" "$bare")" "exec to durable, one onboarding with" \
		"five deliveries: times the bare one-row program" \
		"($(ms "$ours"), $(ms "$bare")); <= 1.50"
	onboard_kib=$(sed -n '1s/.* //p' took)
}

# stripe_config NAME: a configuration with a customer, org_0 as cus_0, to 9.
stripe_config() {
	config "$1" 'stripe:' '  mode: test' '  webhook_secret: whsec_bench' \
		'billing:' '  url: http://127.0.0.1:9/billing'
	seq 0 9 | sed 's/.*/{"id":"org_&","stripe_customer_id":"cus_&"}/' |
		automate-onboard -q --later >/dev/null
}

# real_events COUNT: so many of the changes of a subscription, with all that
# Stripe says of one, each later than the one before.
real_events() {
	sed -e 's/^ *//' -e 's/": /":/' \
		"$TOP/tests/data/stripe/customer.subscription.updated.json" |
		tr -d '\n' >event
	seq "$1" | awk -v event="$(cat event)" '{
		line = event
		sub(/evt_[A-Za-z0-9]*/, "evt_" $1, line)
		sub(/"created":[0-9]*/, "\"created\":" 1793527211 + $1, line)
		gsub(/cus_[A-Za-z0-9]*/, "cus_" $1 % 10, line)
		gsub(/sub_[A-Za-z0-9]*/, "sub_" $1 % 10, line)
		print line
	}'
}

# small_events COUNT: the same with no more than what is read.
small_events() {
	seq "$1" | awk '{
		printf "{\"id\":\"evt_%d\",\"object\":\"event\",\"created\":%d,\"livemode\":false,", $1, 1793527211 + $1
		printf "\"type\":\"customer.subscription.updated\",\"data\":{\"object\":{\"id\":\"sub_%d\",", $1 % 10
		printf "\"object\":\"subscription\",\"customer\":\"cus_%d\",\"status\":\"active\"}}}\n", $1 % 10
	}'
}

bench_signed() {
	stripe_config signed
	real_events 201 >lines
	while IFS= read -r line; do
		printf '%s\n' "$line" | sign stripe whsec_bench
	done <lines >signatures
	./measure -n 201 -l lines -e HTTP_STRIPE_SIGNATURE=signatures \
		-- automate-stripe-event -q --later -- ./onerow signed.db >took
	ours=$(sed -n '1s/ .*//p' took)
	bare=$(sed -n '2s/ .*//p' took)
	figure "$(ratio "$ours" "$bare")" "exec to durable, one signed event of" \
		"3.2 KB: times the bare one-row program" \
		"($(ms "$ours"), $(ms "$bare")); <= 1.50"
}

fresh_deliver() {
	rm -f deliver.db*
	cp owed.db deliver.db
}

bench_deliver() {
	echo '/mail 200 delay=20' >script
	receiver=$(httpd -d -q -r requests -p port -s script)
	config deliver 'mail:' "  url: http://127.0.0.1:$(cat port)/mail" \
		'  rate: unlimited' '  concurrency: 64' \
		'onboarding:' '  follow_ups: false'
	organizations 10000 row | automate-onboard -q --later >/dev/null
	sqlite3 deliver.db 'VACUUM INTO "owed.db"'
	repeated 3 fresh_deliver -- automate-deliver -q
	ideal=$((10000 * 20 * 1000 / 64))
	figure "$(ratio $ideal "$us")" "deliver, 10,000 to a receiver that" \
		"takes 20 ms, 64 at a time: of the ideal rate" \
		"($(ms "$us"), $(ms $ideal)); >= 0.90"
	deliver_kib=$kib
}

fresh_batch() {
	rm -f batch.db*
}

bench_batch() {
	config batch 'mail:' '  url: http://127.0.0.1:9/mail'
	seq 100000 | sed 's/.*/{"type":"DELETE","table":"organizations","schema":"public","record":null,"old_record":{"id":"gone&"}}/' >events
	head -10000 events >tenth
	repeated 1 fresh_batch -i tenth -- automate-onboard -q --later
	tenth_kib=$kib
	repeated 3 fresh_batch -i events -- automate-onboard -q --later
	figure $((100000 * 1000000 / us)) "batch, 100,000 events of two rows each:" \
		"a second ($(mib "$kib"), for a tenth of them" \
		"$(mib "$tenth_kib")); >= 20000"
	organizations 20000 batch >events
	repeated 3 fresh_batch -i events -- automate-onboard -q --later
	figure $((20000 * 1000000 / us)) "batch, 20,000 organizations with five" \
		"deliveries each: a second"
}

fresh_stripe() {
	rm -f stripe.db*
	cp known.db stripe.db
}

# stripe_batch KIND WANTED WORDS...: 100,000 events of a kind, and a tenth of
# them.
stripe_batch() {
	kind=$1 wanted=$2
	shift 2
	"${kind}_events" 100000 >events
	head -10000 events >tenth
	repeated 1 fresh_stripe -i tenth -- automate-stripe-event -q --later \
		--unsigned
	tenth_kib=$kib
	repeated 3 fresh_stripe -i events -- automate-stripe-event -q --later \
		--unsigned
	figure $((100000 * 1000000 / us)) "batch, 100,000 Stripe events of" \
		"$(($(wc -c <events) / 100000)) bytes $*: a second ($(mib "$kib")," \
		"for a tenth of them $(mib "$tenth_kib"))$wanted"
}

bench_stripe() {
	stripe_config stripe
	sqlite3 stripe.db 'VACUUM INTO "known.db"'
	stripe_batch small '; >= 20000' 'each, with what is read of them'
	stripe_batch real '' 'each, real ones with all that Stripe says'
}

bench_memory() {
	AUTOMATE_CONFIG=$PWD/exec.yaml
	./measure -- automate-log list >took
	figure "$(mib "$onboard_kib")" "peak memory: automate-onboard"
	figure "$(mib "$(cut -d ' ' -f 2 took)")" "automate-log list"
	figure "$(mib "$deliver_kib")" "automate-deliver, 10,000 deliveries"
}

bench_exec
bench_signed
bench_deliver
bench_batch
bench_stripe
bench_memory
