#!/bin/sh
# A night of usage: ORGANIZATIONS organizations with CALLS calls on one day,
# beside the sqlite3 shell's own GROUP BY. Nothing here passes or fails.
set -eu

TOP=$(cd "$(dirname "$0")/../.." && pwd)
BUILD=${BUILD:-build}
case $BUILD in
/*) ;;
*) BUILD=$TOP/$BUILD ;;
esac
PATH=$BUILD:$BUILD/tests:$PATH
scratch=$(mktemp -d "$BUILD/bench.XXXXXX")
meter=
trap '[ -z "$meter" ] || kill "$meter" 2>/dev/null; [ "${KEEP:-0}" = 1 ] || rm -rf "$scratch"' EXIT
cd "$scratch"

organizations=${ORGANIZATIONS:-10000}
calls=${CALLS:-1000000}
rate=500 # a second, configured for events and for reads

now_ms() { echo $(($(date +%s%N) / 1000000)); }
# hundredths A B: A divided by B.
hundredths() { echo "$(($1 * 100 / $2))" | sed 's/\(..\)$/.\1/; s/^\./0./'; }
# timed COMMAND...: its milliseconds in $ms, peak memory in $kib.
timed() {
	timed_from=$(now_ms)
	/usr/bin/time -o peak -f %M "$@" >out 2>err || { cat err; exit 1; }
	ms=$(($(now_ms) - timed_from))
	kib=$(tail -1 peak)
}

meter=$(meter -d -p port)
STRIPE_API_BASE=http://127.0.0.1:$(cat port)
STRIPE_SECRET_KEY=sk_test_bench
export STRIPE_API_BASE STRIPE_SECRET_KEY
cat >automate.yaml <<EOF
database:
  path: automate.db
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
AUTOMATE_CONFIG=$PWD/automate.yaml
export AUTOMATE_CONFIG

# clock TIME: the meter's, too.
clock() {
	AUTOMATE_NOW=$1
	export AUTOMATE_NOW
	stripe-get /set now "$(sqlite3 :memory: "SELECT unixepoch('$1')")" \
		>/dev/null
}

automate-deliver -q
sqlite3 automate.db <<EOF
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

clock 2026-11-28T02:00:00Z
query="SELECT organization_id, count(*) FROM calls WHERE placed_at / 86400 =
    unixepoch('2026-11-27') / 86400 GROUP BY organization_id"
sqlite3 automate.db "$query" >/dev/null # into the cache
theirs=0
ours=0
for turn in 1 2 3 4 5; do
	: "$turn"
	timed sqlite3 automate.db "$query"
	theirs=$((theirs + ms))
	timed automate-reconcile -q --dry-run
	ours=$((ours + ms))
done
echo "count: $calls calls of $organizations organizations, with the whole" \
	"report rehearsed, in $((ours / 5)) ms, $kib KiB; the sqlite3 shell's" \
	"GROUP BY alone: $((theirs / 5)) ms; ratio $(hundredths $ours $theirs)"

timed automate-reconcile -q --later
first=$ms
echo "report: $organizations events recorded in $first ms, $kib KiB"
timed automate-deliver -q
echo "send: $organizations events in $ms ms, $kib KiB;" \
	"$((organizations * 1000 * 100 / rate / ms)) % of the configured rate"

events=$(sqlite3 automate.db 'SELECT count(*) FROM deliveries')
timed automate-reconcile -q
counting=0
second=$ms
n=0
for n in 1 2 3; do
	timed sqlite3 automate.db "$query"
	counting=$((counting + ms))
done
echo "again: $second ms, $kib KiB, and $(($(sqlite3 automate.db \
	'SELECT count(*) FROM deliveries') - events)) events;" \
	"ratio to the GROUP BY $(hundredths $((second * n)) $counting)"

clock 2026-11-28T12:00:00Z
timed automate-reconcile -q
echo "compare: $organizations read in $ms ms, $kib KiB;" \
	"$((organizations * 1000 * 100 / rate / ms)) % of the configured rate;" \
	"$(sqlite3 automate.db 'SELECT count(*) FROM usage WHERE settled_at > 0') settled"
