#!/bin/sh
# Signed 3 KB Stripe events through automate-cgi, beside a CGI program that says
# hello: the same lighttpd, 8 clients, in turns. Then all of it is killed, and
# what was answered with 200 is looked for. Nothing here passes or fails.
set -eu

TOP=$(cd "$(dirname "$0")/../.." && pwd)
BUILD=${BUILD:-build}
case $BUILD in
/*) ;;
*) BUILD=$TOP/$BUILD ;;
esac
PATH=$BUILD:$BUILD/tests:$PATH:/usr/sbin
COUNT=${COUNT:-400}
command -v lighttpd >/dev/null || { echo 'cgi: no lighttpd'; exit 0; }
scratch=$(mktemp -d "$BUILD/bench.XXXXXX")
server=
trap '[ -z "$server" ] || kill -9 "$server" 2>/dev/null; rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
cd "$scratch"
mkdir bin log empty
cp "$BUILD"/automate-* bin/
"${CC:-cc}" -O2 -static -o bin/hello "$TOP/tests/bench/hello.c"

# figure VALUE WORDS...
figure() {
	value=$1
	shift
	printf '%8s  %s\n' "$value" "$*"
}

# value FILE NAME: a number of what load prints.
value() {
	sed "s/.*\"$2\":\\([0-9]*\\).*/\\1/" "$1"
}

# median NAME: of what is in ./NAME, a number a line.
median() {
	sort -n "$1" | awk '{ n[NR] = $1 } END { print n[int((NR + 1) / 2)] }'
}

quotient() {
	awk "BEGIN { printf \"%.2f\", $1 / $2 }"
}

cat >automate.yaml <<END
database:
  path: $PWD/automate.db
stripe:
  mode: test
  webhook_secret: whsec_bench
END
probe=$(httpd -d -q -r probe -p port)
kill "$probe"
port=$(cat port)
sed -e "s|/usr/local/bin|$PWD/bin|g; s|/etc/automate/|$PWD/|g
	s|/var/log/[a-z]*|$PWD/log|g; s|/var/empty|$PWD/empty|; s|8080|$port|" \
	"$TOP/etc/lighttpd.conf" >server.conf
cat >>server.conf <<END
alias.url += ( "/hello" => "$PWD/bin/hello" )
cgi.assign += ( "/hello" => "" )
END
lighttpd -D -f server.conf 2>server.log &
server=$!
until curl -sf "http://127.0.0.1:$port/automate/healthz" >/dev/null; do
	kill -0 "$server"
	sleep 0.1
done

for _ in 1 2 3; do
	load -c 8 -n "$COUNT" "http://127.0.0.1:$port/hello" >hello
	load -c 8 -n "$COUNT" -k ids -s whsec_bench \
		"http://127.0.0.1:$port/automate/stripe-webhook" >ours
	value hello per_second >>hellos
	value ours per_second >>rates
	value ours p50_us >>p50s
	value ours p99_us >>p99s
done

# In the middle of another turn.
load -c 8 -n "$COUNT" -k ids -s whsec_bench \
	"http://127.0.0.1:$port/automate/stripe-webhook" >/dev/null 2>&1 &
loading=$!
until [ "$(tail -n +$((3 * COUNT)) ids | grep -c .)" -gt 1 ] ||
	! kill -0 "$loading" 2>/dev/null; do
	sleep 0.1
done
kill -9 "$server"
server=
for process in /proc/[0-9]*; do
	case $(readlink "$process/exe" 2>/dev/null) in
	"$PWD"/bin/*) kill -9 "${process#/proc/}" 2>/dev/null || : ;;
	esac
done
wait "$loading" || :
sqlite3 automate.db 'SELECT id FROM events' | sort >rows
lost=$(sort -u ids | comm -23 - rows | grep -c . || :)

figure "$(quotient "$(median rates)" "$(median hellos)")" \
	"events through lighttpd, of what a hello does: $(median rates) of" \
	"$(median hellos) a second; >= 0.40"
figure "$(quotient "$(median p99s)" "$(median p50s)")" \
	"their p99 over p50: $(median p99s) and $(median p50s) us; <= 4"
figure "$lost" "of $(sort -u ids | grep -c .) answered with 200 and lost when" \
	"all is killed; 0"
