#!/bin/sh
# The knowledge base: a runbook for each kind of alert that can be raised, and
# none besides; an alert links to it; pages name commands and options that there
# are, and link to pages that are there.
. "$(dirname "$0")/../lib.sh"
kb=$TOP/etc/kb

kinds | cut -f 1 | sort >known
(cd "$kb/runbooks" && for page in *.md; do echo "${page%.md}"; done) |
	sort >pages
ok 'there are kinds' [ "$(grep -c . known)" -gt 20 ]
is "$(comm -23 known pages)" '' 'every kind of alert has its page'
# What cannot be raised yet, since its command is not there.
[ -x "$BUILD/automate-call" ] || sed -i '/^call\.\(silent\|unknown\)$/d' pages
is "$(comm -13 known pages)" '' 'and no page is about another'
for section in '## What it means' '## Do this' '## Why it happens' \
	'## When it is over'; do
	is "$(grep -L "^$section\$" "$kb"/runbooks/*.md)" '' "each says: $section"
done
is "$(while read -r kind; do
	head -n 1 "$kb/runbooks/$kind.md" | grep -q "^# $kind: " || echo "$kind"
done <known)" '' 'under its name'

# What an alert links to.
# shellcheck disable=SC2119 # no options
start_httpd
config
automate-alert -q -s error -k delivery.dead 'something' </dev/null >/dev/null
like "$(cat requests)" 'https://kb.example.com/delivery.dead[^a-z.]' \
	'an alert links to the page of its kind'

# Commands, in fences: that each is there, and has that option in its manual.
fenced() {
	awk '/^ *```/ { inside = !inside; next } inside' "$@"
}
fenced "$kb"/*.md "$kb"/runbooks/*.md | grep -o 'automate-[a-z-]*.*' |
	sed 's/^.*| *automate-/automate-/' | sort -u >commands
ok 'there are commands' [ "$(grep -c . commands)" -gt 30 ]
while read -r command words; do
	page=$TOP/man/$command.1
	if [ ! -f "$page" ]; then
		# Of a command that is not built here there is no manual yet.
		[ "$command" = automate-call ] || echo "$command"
		continue
	fi
	for word in $words; do
		case $word in
		--*) grep -Eq -e "^\.It Fl (.* )?-${word#--}( |\$)" "$page" ||
			echo "$command $word" ;;
		esac
	done
done <commands >strange
is "$(cat strange)" '' 'every command and option that a page names is there'

# Those that only look run as they stand.
echo '{"id":"org_1","name":"Example GmbH","owner_email":"a@b.example","stripe_customer_id":"cus_1"}' |
	automate-onboard -q >/dev/null
id=$(sql 'SELECT id FROM deliveries LIMIT 1')
grep -E '^automate-(log (why|list)|deliver list|dunning --(list|preview))' commands |
	grep -v lead_1 >look
failed=$(while read -r line; do
	sh -c "$line" >out 2>&1 </dev/null || echo "$line"
done <look)
is "$failed" '' 'those that look around do'
ok "delivery $id is shown" automate-deliver show "$id"

# Links.
broken=$(for page in "$kb"/*.md; do
	grep -o '](\([a-z/-]*\(\.md\)\{0,1\}\))' "$page" | sed 's/](\(.*\))/\1/' |
		while read -r link; do
			[ -e "$kb/$link" ] || echo "${page##*/}: $link"
		done
done)
is "$broken" '' 'links between pages lead somewhere'
is "$(cd "$kb" && for page in *.md; do
	[ "$page" = index.md ] || grep -q "($page)" index.md || echo "$page"
done)" '' 'the index has every page'
is "$(awk 'length > 85 && !/^\|/ && !/^ *(automate|echo)/ { print FILENAME ": " $0 }' \
	"$kb"/*.md "$kb"/runbooks/*.md)" '' 'lines are short'
done_testing
