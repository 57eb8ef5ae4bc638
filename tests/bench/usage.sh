#!/bin/sh
# A night of usage, 10,000 organizations with 1,000,000 calls (ORGANIZATIONS,
# CALLS), beside the sqlite3 shell's own GROUP BY: one figure a line, as run.sh
# prints them. Nothing here passes or fails.
set -eu

TOP=$(cd "$(dirname "$0")/../.." && pwd)
BUILD=${BUILD:-build}
case $BUILD in
/*) ;;
*) BUILD=$TOP/$BUILD ;;
esac
PATH=$BUILD:$BUILD/tests:$PATH
organizations=${ORGANIZATIONS:-10000}
calls=${CALLS:-1000000}
rate=500 # a second, configured for events and for reads
scratch=$(mktemp -d "$BUILD/bench.XXXXXX")
meter=
trap '[ -z "$meter" ] || kill "$meter" 2>/dev/null; rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
cd "$scratch"
"${CC:-cc}" -O2 -D_DEFAULT_SOURCE -o measure "$TOP/tests/bench/measure.c"

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

median() {
	cut -d ' ' -f 1 | sort -n |
		awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# once COMMAND...: the microseconds and the KiB of a run, in $us and $kib.
once() {
	./measure -- "$@" >took
	us=$(sed -n '1s/ .*//p' took)
	kib=$(sed -n '1s/.* //p' took)
	[ "$kib" -lt "$peak_kib" ] || peak_kib=$kib
}

# clock TIME: ours and the meter's.
clock() {
	AUTOMATE_NOW=$1
	export AUTOMATE_NOW
	stripe-get /set now "$(sqlite3 :memory: "SELECT unixepoch('$1')")" \
		>/dev/null
}

owed() {
	sqlite3 usage.db "SELECT count(*) FROM deliveries"
}

meter=$(meter -d -p port)
STRIPE_API_BASE=http://127.0.0.1:$(cat port)
STRIPE_SECRET_KEY=sk_test_bench
AUTOMATE_CONFIG=$PWD/usage.yaml
export STRIPE_API_BASE STRIPE_SECRET_KEY AUTOMATE_CONFIG
cat >usage.yaml <<EOF
database:
  path: $PWD/usage.db
stripe:
  secret_key: $STRIPE_SECRET_KEY
  mode: test
  meter_id: mtr_1
  api_base: $STRIPE_API_BASE
  meter:
    rate: $rate/s
  read:
    rate: $rate/s
EOF
automate-deliver -q
sqlite3 usage.db <<EOF
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n
    WHERE i < $organizations)
INSERT INTO organizations (id, status, status_at, stripe_customer_id,
    created_at) SELECT printf('5b3f1c9e-0000-4000-8000-%012d', i), 'active', 0,
    'cus_' || i, 0 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n
    WHERE i < $calls)
INSERT INTO calls (id, call_id, organization_id, state, placed_at, created_at)
    SELECT 'c' || i, 'call_' || i, printf('5b3f1c9e-0000-4000-8000-%012d',
    1 + (i * 7919) % $organizations), 'ended',
    unixepoch('2026-11-27') + (i * 31) % 86400, 0 FROM n;
COMMIT;
EOF
peak_kib=0

clock 2026-11-28T02:00:00Z
once automate-reconcile -q --later
figure $((organizations * 1000000 / us)) "usage, $calls calls of" \
	"$organizations organizations counted and recorded: events a second" \
	"($(ms "$us"))"
once automate-deliver -q
figure "$(ratio $((organizations * 1000000 / rate)) "$us")" \
	"usage, $organizations events sent: of the configured rate of" \
	"$rate/s ($(ms "$us")); >= 0.90"

# The counting is what -v says of it, with what is read of each organization.
query="SELECT organization_id, count(*) FROM calls WHERE placed_at / 86400 =
    unixepoch('2026-11-27') / 86400 GROUP BY organization_id"
before=$(owed)
for turn in 1 2 3 4 5 6 7 8 9 10 11; do
	: "$turn"
	automate-reconcile -v --dry-run 2>&1 >/dev/null |
		sed -n 's/.*counted .* in \([0-9]*\) ms$/\1/p' >>counted
	./measure -- sqlite3 usage.db "$query" >>shell
	./measure -- automate-reconcile -q >>again
done
counting=$(($(median <counted) * 1000))
theirs=$(median <shell)
again=$(median <again)
figure "$(ratio "$counting" "$theirs")" "usage, $calls calls counted: times" \
	"the sqlite3 shell's own GROUP BY ($(ms "$counting")," \
	"$(ms "$theirs")); <= 1.20"
figure "$(ratio "$again" "$counting")" "usage, the same run again, whole, which" \
	"sends $(($(owed) - before)): times the counting ($(ms "$again"));" \
	"<= 2.00"

clock 2026-11-28T12:00:00Z
once automate-reconcile -q
figure "$(ratio $((organizations * 1000000 / rate)) "$us")" \
	"usage, $(sqlite3 usage.db 'SELECT count(*) FROM usage WHERE settled_at > 0')" \
	"days of organizations compared: of the configured rate of $rate/s" \
	"($(ms "$us")); >= 0.90"
figure "$(awk "BEGIN { printf \"%.1f MiB\", $peak_kib / 1024 }")" \
	"peak memory: automate-reconcile, $organizations organizations; <= 32"
