#!/bin/sh
# One pass of each command under valgrind's memcheck: no error, no leak.
# make valgrind runs all the scripts so.
VALGRIND=1
. "$(dirname "$0")/../lib.sh"
command -v valgrind >/dev/null || skip_all 'no valgrind'
[ -z "${SAN:-}" ] || skip_all 'built with sanitizers'
# shellcheck disable=SC2119 # no options
start_httpd
config
printf '%s\n' '/mail 400 body=no' '/slack-customers 400 body=invalid_blocks' \
	'/slack-customers 200 body=ok' >script

# passes STATUS COMMAND...: with ./in as its input.
passed=
passes() {
	passes_status=$1
	shift
	run "$@" <in
	is_status "$passes_status" "$*"
	passed="$passed $1 "
}

{
	cat "$TOP/tests/data/supabase/organizations-insert-pro.json"
	printf '\n{"id":\n{"id":"o1","name":"no address"}\n'
} >in
passes 65 automate-onboard --later
printf 'disk full\n' >in
passes 0 automate-alert --later -s critical -k disk.full 'nightly backup failed'
passes 1 automate-deliver
passes 0 automate-deliver show 1
passes 0 automate-log why c7e1a2b4-55d0-4e0f-8b1a-0f9d6e4c2a77

echo '{"id":"evt_1","object":"event","created":1,"type":"invoice.paid","data":{"object":{"object":"invoice","customer":"cus_1"}}}' >in
passes 0 automate-stripe-event --later --unsigned

# Whatever else there is gets no further than its input, or says its help.
for command in $(commands); do
	case $passed in
	*" $command "*) continue ;;
	esac
	run "$command" --dry-run --later </dev/null
	ok "$command ends by itself" [ "$status" -lt 128 ]
done
done_testing
