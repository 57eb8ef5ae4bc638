# TAP for sh. A script in tests/cmd begins with
#
#	. "$(dirname "$0")/../lib.sh"
#
# and is then in a scratch directory of its own, with the fresh commands first
# in PATH and nothing of the caller's configuration in its environment. It ends
# with done_testing. BUILD names the build directory (build); KEEP=1 keeps the
# scratch directory; VALGRIND=1 runs each command, however it is started, under
# memcheck, and done_testing says what that found.
#
# shellcheck shell=sh
set -u

TOP=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
BUILD=${BUILD:-build}
case $BUILD in
/*) ;;
*) BUILD=$TOP/$BUILD ;;
esac
PATH=$BUILD:$BUILD/tests:$PATH
SCRATCH=$(mktemp -d) && SCRATCH=$(cd "$SCRATCH" && pwd -P) && cd "$SCRATCH" ||
	exit 1
tap_home=${HOME:-/}
HOME=$SCRATCH
DB=$SCRATCH/automate.db
export PATH HOME
unset MAKE_WEBHOOK_URL ZAPIER_WEBHOOK_URL BILLING_AUTOMATION_WEBHOOK_URL \
	SMS_WEBHOOK_URL FOUNDER_PHONE CRON_SECRET ONBOARDING_SECRET APP_URL \
	NOTION_KB_URL
for tap_variable in $(env | sed -n 's/^\([A-Z_]*\)=.*/\1/p'); do
	case $tap_variable in
	STRIPE_SPEC) ;;
	AUTOMATE_* | SLACK_* | TWILIO_* | STRIPE_* | RETELL_*)
		unset "$tap_variable" ;;
	esac
done

# Never the real one, whatever becomes of a script.
AUTOMATE_DATABASE=$DB
export AUTOMATE_DATABASE

# Each command as a script that runs it under memcheck, and what it starts too.
if [ "${VALGRIND:-0}" = 1 ]; then
	tap_memcheck="$(command -v valgrind) -q --leak-check=full \
		--show-leak-kinds=definite --trace-children=yes \
		--log-file=$SCRATCH/memcheck/%p"
	mkdir memcheck memchecked
	for tap_command in "$BUILD"/dynamic/automate-*; do
		tap_script=memchecked/${tap_command##*/}
		printf '#!/bin/sh\nexec %s %s "$@"\n' "$tap_memcheck" \
			"$tap_command" >"$tap_script"
		chmod 755 "$tap_script"
	done
	PATH=$SCRATCH/memchecked:$PATH
fi

# What kills a command at its system calls does so at each fifth of them; make
# campaign at every one.
KILL_STEP=${KILL_STEP:-5}

status=0
tap_count=0
tap_failed=0
tap_processes=

tap_exit() {
	# shellcheck disable=SC2086 # a list
	[ -z "$tap_processes" ] || kill $tap_processes 2>/dev/null
	cd / || exit 1
	if [ "${KEEP:-0}" = 1 ]; then
		echo "# kept $SCRATCH"
	else
		rm -rf "$SCRATCH"
	fi
}
trap tap_exit EXIT
trap 'exit 1' HUP INT TERM

tap_pass() {
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1"
}

# Say also why (in ./why), and what the last command said.
tap_fail() {
	tap_count=$((tap_count + 1))
	tap_failed=1
	echo "not ok $tap_count - $1"
	echo "# last status: $status"
	for tap_file in why out err; do
		[ -s "$tap_file" ] || continue
		echo "# $tap_file:"
		awk 'NR <= 40 { print "#   " $0 }' "$tap_file"
	done
	return 1
}

# ok NAME COMMAND...: the command succeeds.
ok() {
	tap_name=$1
	shift
	if "$@" >why 2>&1; then
		tap_pass "$tap_name"
	else
		tap_fail "$tap_name"
	fi
}

# is GOT WANTED NAME
is() {
	if [ "$1" = "$2" ]; then
		tap_pass "$3"
	else
		printf '   got: %s\nwanted: %s\n' "$1" "$2" >why
		tap_fail "$3"
	fi
}

# is_status STATUS NAME: what the last run() ended with.
is_status() {
	is "$status" "$1" "$2"
}

# like TEXT PATTERN NAME: some line matches the extended regular expression.
like() {
	if printf '%s\n' "$1" | grep -Eq -e "$2"; then
		tap_pass "$3"
	else
		printf '%s\ndoes not match %s\n' "$1" "$2" >why
		tap_fail "$3"
	fi
}

unlike() {
	if printf '%s\n' "$1" | grep -Eq -e "$2"; then
		printf '%s\nmatches %s\n' "$1" "$2" >why
		tap_fail "$3"
	else
		tap_pass "$3"
	fi
}

# run COMMAND...: its output into ./out and ./err, its status into $status.
# For a variable of its environment: run env NAME=VALUE COMMAND...
run() {
	"$@" >out 2>err
	status=$?
}

# The commands that were built.
commands() {
	(cd "$BUILD" && for tap_command in automate-*; do
		[ -x "$tap_command" ] && [ ! -d "$tap_command" ] &&
			echo "$tap_command"
	done)
}

# wait_for SECONDS COMMAND...: until it succeeds. Nothing else may sleep.
wait_for() {
	tap_end=$(($(date +%s) + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -le "$tap_end" ] || return 1
		sleep 0.02
	done
}

# Processes to kill when the script ends.
kill_at_exit() {
	tap_processes="$tap_processes $*"
}

# The receiver (tests/httpd.c): its address in $URL, what it got in ./requests,
# its process in $HTTPD. Options, such as -q, are passed on.
start_httpd() {
	: >>script
	HTTPD=$(httpd -d -r requests -p port -s script "$@") || exit 1
	kill_at_exit "$HTTPD"
	PORT=$(cat port)
	URL=http://127.0.0.1:$PORT
}

# Stripe as its own description has it, served by Prism: its address in
# $STRIPE_API_BASE, exported with a test key; Prism's own words in ./prism.log.
# The description is $STRIPE_SPEC, else where it lies beside the checkout; it is
# no part of this tree. Its examples are of both modes, here all of test mode,
# and the meter among them takes the events that it says one takes.
# Prism is installed into the build folder, once. False where there is no
# description or no npm, with the reason in $prism_missing.
start_prism() {
	STRIPE_SPEC=${STRIPE_SPEC:-$TOP/../shared/specs/stripe/openapi.subset.prism.json}
	prism_missing=
	if ! [ -r "$STRIPE_SPEC" ]; then
		prism_missing='no description of Stripe (see STRIPE_SPEC)'
	elif ! install_prism >npm.log 2>&1; then
		prism_missing='no Prism, nor npm to install it'
	fi
	[ -z "$prism_missing" ] || return 1
	sed -e 's/"livemode": *true/"livemode": false/g' \
		-e 's/\("event_payload_key": *"\)customer"/\1stripe_customer_id"/g' \
		"$STRIPE_SPEC" >prism.json
	env -u NODE_ENV "$PRISM" mock -h 127.0.0.1 -p 0 prism.json \
		>prism.log 2>&1 &
	tap_prism=$!
	kill_at_exit "$tap_prism"
	wait_for 60 prism_started
	STRIPE_API_BASE=$(sed -n 's/.*is listening on \(http:[0-9.:/]*\).*/\1/p' \
		prism.log)
	if [ -z "$STRIPE_API_BASE" ]; then
		echo 'Bail out! Prism does not start'
		sed 's/^/# /' prism.log
		exit 1
	fi
	STRIPE_SECRET_KEY=sk_test_prism
	export STRIPE_API_BASE STRIPE_SECRET_KEY
}

# It listens, or has ended.
prism_started() {
	grep -q 'is listening on' prism.log || ! kill -0 "$tap_prism"
}

install_prism() {
	PRISM=$BUILD/npm/node_modules/.bin/prism
	[ -x "$PRISM" ] && return
	HOME=$tap_home npm install --no-save --no-audit --no-fund \
		--prefix "$BUILD/npm.$$" @stoplight/prism-cli@5.14.2 &&
		mv "$BUILD/npm.$$" "$BUILD/npm"
	rm -rf "$BUILD/npm.$$"
	[ -x "$PRISM" ]
}

# need_npm FOLDER PACKAGE@VERSION...: packages of npm in that folder of the build
# folder, named by $npm, installed there once; all is skipped where there is no
# node, no npm or no registry.
need_npm() {
	npm=$BUILD/$1
	shift
	for tap_program in node npm; do
		command -v "$tap_program" >/dev/null || skip_all "no $tap_program"
	done
	if ! npm_has "$@"; then
		mkdir -p "$npm"
		HOME=$tap_home npm install --no-save --no-package-lock 			--ignore-scripts --no-audit --no-fund 			--no-update-notifier --fetch-retries=0 			--fetch-timeout=30000 --cache "$npm/cache" 			--prefix "$npm" "$@" >npm.log 2>&1
		rm -rf "$npm/cache"
	fi
	npm_has "$@" || skip_all "npm cannot install $*"
}

npm_has() {
	for tap_package; do
		grep -qs "\"version\": *\"${tap_package##*@}\"" \
			"$npm/node_modules/${tap_package%@*}/package.json" ||
			return 1
	done
}

# A billing meter (tests/meter.c): its address in $METER, and where stripe-get
# asks. Options are passed on.
start_meter() {
	tap_meter=$(meter -d -p meter.port "$@") || exit 1
	kill_at_exit "$tap_meter"
	METER=http://127.0.0.1:$(cat meter.port)
	STRIPE_API_BASE=$METER
	STRIPE_SECRET_KEY=sk_test_meter
	export STRIPE_API_BASE STRIPE_SECRET_KEY
}

# set_meter NAME VALUE...: what it does from now on.
set_meter() {
	stripe-get /set "$@" >/dev/null
}

# script LINE...: what the receiver answers from now on.
script() {
	printf '%s\n' "$@" >script.new
	mv script.new script
	kill -HUP "$HTTPD"
}

# How many requests came, at all or for a path.
requests() {
	if [ $# -eq 0 ]; then
		grep -c . requests
	else
		grep -cF "\"path\":\"$1\"," requests
	fi
}

# json FILE PATH...: a value of a JSON file, as in json out '$.outcome'. Each
# further path looks into the text that the one before found, as in
# json request '$.body' '$.step'.
json() {
	tap_value="CAST(readfile('$1') AS TEXT)"
	shift
	for tap_path in "$@"; do
		tap_value="json_extract($tap_value, '$tap_path')"
	done
	sqlite3 :memory: "SELECT $tap_value"
}

# request NUMBER PATH...: json() of one request, the first being 1.
request() {
	sed -n "$1p" requests >request
	shift
	json request "$@"
}

sql() {
	sqlite3 -readonly -cmd '.timeout 5000' "$DB" "$1"
}

# A configuration with every destination at the receiver, as fast as may be.
config() {
	cat >automate.yaml <<-END
	database:
	  path: $DB
	links:
	  app_url: https://app.example.com
	  knowledge_base_url: https://kb.example.com
	mail:
	  url: $URL/mail
	  rate: unlimited
	billing:
	  url: $URL/billing
	  rate: unlimited
	slack:
	  customers:
	    url: $URL/slack-customers
	    rate: unlimited
	  alerts:
	    url: $URL/slack-alerts
	    rate: unlimited
	sms:
	  provider: webhook
	  to: "+15550100"
	  url: $URL/sms
	  rate: unlimited
	END
	AUTOMATE_CONFIG=$SCRATCH/automate.yaml
	export AUTOMATE_CONFIG
}

# elsewhere PATH COMMAND...: with that configuration, but another database.
elsewhere() {
	sed "s|^  path: .*|  path: $SCRATCH/$1|" automate.yaml >elsewhere.yaml
	shift
	AUTOMATE_CONFIG=$SCRATCH/elsewhere.yaml "$@"
}

skip_all() {
	echo "1..0 # SKIP $1"
	exit 0
}

done_testing() {
	if [ -d "$SCRATCH/memcheck" ]; then
		is "$(cat "$SCRATCH"/memcheck/* 2>/dev/null)" '' \
			'memcheck has nothing to say'
	fi
	echo "1..$tap_count"
	exit "$tap_failed"
}
