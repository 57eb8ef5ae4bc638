#!/bin/sh
# make bench: ratios, side by side in one run. Nothing here passes or fails.
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
cd "$scratch"

now_ms() { echo $(($(date +%s%N) / 1000000)); }
# hundredths A B: A divided by B.
hundredths() { echo "$(($1 * 100 / $2))" | sed 's/\(..\)$/.\1/; s/^\./0./'; }

cat >automate.yaml <<EOF
database:
  path: automate.db
links:
  app_url: https://app.example.com
mail:
  url: http://127.0.0.1:9/mail
slack:
  customers:
    url: http://127.0.0.1:9/slack
EOF
AUTOMATE_CONFIG=$PWD/automate.yaml
export AUTOMATE_CONFIG
echo '{"id":"first"}' | automate-onboard -q --later >/dev/null 2>&1
cc -O2 -o onerow "$TOP/tests/bench/onerow.c" -lsqlite3

runs=200
# In turns, so that a machine that drifts drifts for both.
ours=0
bare=0
n=0
while [ $n -lt $runs ]; do
	n=$((n + 1))
	echo "{\"id\":\"o$n\",\"owner_email\":\"a@b.example\"}" >in
	a=$(date +%s%N)
	automate-onboard -q --later <in >/dev/null
	b=$(date +%s%N)
	./onerow automate.db <in >/dev/null
	c=$(date +%s%N)
	ours=$((ours + b - a))
	bare=$((bare + c - b))
done
echo "exec to durable: $((ours / runs / 1000)) us; the bare one-row program:" \
	"$((bare / runs / 1000)) us; ratio $(hundredths $ours $bare)" \
	"(each with the start of date(1))"

seq 20000 | sed 's/.*/{"id":"batch&","name":"Batch","owner_email":"a@b.example"}/' >batch.ndjson
a=$(now_ms)
automate-onboard -q --later <batch.ndjson >/dev/null
b=$(now_ms)
echo "batch: 20000 organizations with 5 deliveries each, $((20000 * 1000 / (b - a))) a second"

# 10,000 deliveries to a receiver that takes 20 ms, 64 at a time.
echo '/mail 200 delay=20' >script
receiver=$(httpd -d -q -r requests -p port -s script)
cat >deliver.yaml <<EOF
database:
  path: deliver.db
mail:
  url: http://127.0.0.1:$(cat port)/mail
  rate: unlimited
  concurrency: 64
onboarding:
  follow_ups: false
EOF
AUTOMATE_CONFIG=$PWD/deliver.yaml
head -10000 batch.ndjson | automate-onboard -q --later >/dev/null
a=$(now_ms)
automate-deliver -q
b=$(now_ms)
ideal=$((10000 * 20 / 64))
echo "deliver: 10000 in $((b - a)) ms; ideal $ideal ms;" \
	"$((ideal * 100 / (b - a))) % of the ideal rate"

echo 'peak memory, KiB:'
for command in 'automate-onboard -q --later' 'automate-log list' automate-deliver; do
	kib=$( { /usr/bin/time -f %M sh -c "exec $command" <in >/dev/null 2>peak.err; } 2>&1 || true)
	echo "  $command: ${kib:-$(tail -1 peak.err)}"
done
