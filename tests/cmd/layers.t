#!/bin/sh
# Includes point down: base <- decide <- store <- cmd, and base <- net <- cmd;
# what lies directly in lib/ joins store and net for the commands. Each foreign
# library has one place.
. "$(dirname "$0")/../lib.sh"

# One line an include: the file, then what it includes, as written.
# shellcheck disable=SC2317 # called in a subshell
list_includes() {
	cd "$TOP" && awk '/^[ \t]*#[ \t]*include/ {
		sub(/^[ \t]*#[ \t]*include[ \t]*/, "")
		sub(/[>"][^>"]*$/, "")
		print FILENAME, $0
	}' cmd/*.c lib/*.[ch] lib/*/*.[ch]
}

# only FOLDER MAY...: our own headers that files of FOLDER include from others.
only() {
	layer_folder=$1
	shift
	layer_pattern=$(printf '%s|' "$@")
	grep "^${layer_folder}[^ ]* \"" lines |
		grep -Ev " \"(${layer_pattern%|})"
}

# strangers HEADER PLACE: files other than PLACE that include it.
strangers() {
	grep -E " <$1" lines | grep -Ev "^($2) "
}

# shellcheck disable=SC2317 # called by ok
fails() {
	! "$@"
}

(list_includes) >lines || exit 1
like "$(cat lines)" '^lib/store/ledger.c "store/ledger.h' \
	'the include lines are read'

is "$(only lib/base/ base/)" '' 'base stands on nothing'
is "$(only lib/decide/ base/ decide/)" '' 'decide stands on base'
is "$(only lib/store/ base/ decide/ store/ schema.inc)" '' \
	'store stands on base and decide'
is "$(only lib/net/ base/ net/)" '' 'net stands on base'
is "$(only cmd/ base/ decide/ store/ net/ '[a-z_]+\.h')" '' \
	'commands stand on all of it'
is "$(grep ' "\.' lines)" '' 'no include climbs'

is "$(strangers 'sqlite3\.h' 'lib/store/[^ ]*')" '' 'only store knows SQLite'
is "$(strangers 'curl/' 'lib/net/[^ ]*')" '' 'only net knows libcurl'
is "$(strangers 'nettle/' 'lib/base/(hmac|base64)\.c')" '' \
	'only hmac and base64 know nettle'
is "$(strangers 'yaml\.h' 'lib/base/conf[^ ]*')" '' 'only conf knows YAML'

# What receives an event makes no request, so it brings none of net along; and
# what verifies nothing no nettle. Symbols tell that of a static program too.
is "$(grep -E '^lib/intake\.[ch] "(net/|send\.h)' lines)" '' \
	'intake knows nothing of HTTP'
# uses COMMAND PREFIX: whether it has symbols that begin so, there or elsewhere.
uses() {
	nm "$BUILD/$1" 2>/dev/null | grep -q " [A-Za-z] _*$2"
}
for receiving in alert cgi onboard retell-event stripe-event; do
	ok "automate-$receiving does not load libcurl" \
		sh -c "! ldd '$BUILD/automate-$receiving' 2>/dev/null |
			grep libcurl"
done
if uses automate-deliver curl_easy && uses automate-stripe-event nettle_; then
	for receiving in alert cgi onboard retell-event stripe-event; do
		ok "automate-$receiving has nothing of libcurl" \
			fails uses automate-$receiving curl_
	done
	for receiving in alert onboard; do
		ok "automate-$receiving has nothing of nettle" \
			fails uses automate-$receiving nettle_
	done
else
	tap_pass 'symbols # SKIP no nm, or none are kept'
fi
done_testing
