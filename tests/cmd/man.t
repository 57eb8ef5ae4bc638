#!/bin/sh
# The manuals: every command has its page, every option is on it, and a page
# promises no option that is not there.
. "$(dirname "$0")/../lib.sh"

commands=$(commands)
like "$commands" '^automate-onboard$' 'there are commands'

# The long options in the help and, where getopt_long(3) can be made to list
# them (by an abbreviation that fits all), those that are accepted.
accepted() {
	{
		"$1" --help
		"$1" --= 2>&1
	} </dev/null | grep -oE -e '--[a-z][a-z-]*' | sort -u
}

# The long options that a page explains, as items of its list.
explained() {
	sed -n 's/^\.It \(Fl .*\)/ \1/p' "$1" |
		grep -oE -e ' -[a-z][a-z-]+' | sed 's/ -/--/' | sort -u
}

for command in $commands; do
	page=$TOP/man/$command.1
	ok "$command has a page" test -f "$page"
	[ -f "$page" ] || continue
	accepted "$command" >options
	explained "$page" >items
	is "$(comm -23 options items)" '' "every option of $command is explained"
	is "$(comm -13 options items)" '' "$command has every option explained"
	like "$(cat "$page")" '^\.Sh EXIT STATUS' "its exit statuses are told"
	like "$(cat "$page")" '^\.Sh EXAMPLES' "there is an example"
	like "$(cat "$TOP/man/automate.7")" "^\.It Xr $command 1" \
		"automate(7) names $command"
	like "$(cat "$TOP/etc/automate.bash")" "$command" \
		"completion knows $command"
done

for page in "$TOP"/man/*.[1-8]; do
	sed -n 's/^\.Xr \(automate[a-z.-]*\) \([1-8]\).*/\1.\2/p' "$page"
done | sort -u >named
missing=$(while read -r name; do
	[ -f "$TOP/man/$name" ] || echo "$name"
done <named)
is "$missing" '' 'pages refer to pages that are there'

if command -v mandoc >/dev/null; then
	is "$(mandoc -Tlint -Wwarning "$TOP"/man/*.[1-8])" '' \
		'mandoc has nothing to say'
else
	tap_pass 'mandoc has nothing to say # SKIP no mandoc'
fi
done_testing
