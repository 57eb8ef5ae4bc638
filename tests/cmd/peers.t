#!/bin/sh
# The senders' own packages judge us: what they sign we accept, what we sign
# they accept, and we refuse what they refuse. The table is tests/peers.mjs.
#
# The packages are fetched once, into the build folder; without node, npm or the
# registry there is nothing to compare with.
. "$(dirname "$0")/../lib.sh"

packages='stripe@23.1.0 retell-sdk@5.66.1 standardwebhooks@1.1.1'
npm=$BUILD/npm-peers

for program in node npm; do
	command -v $program >/dev/null || skip_all "no $program"
done
node -e 'process.exit(globalThis.crypto?.subtle ? 0 : 1)' 2>/dev/null ||
	skip_all 'node is too old'

is_installed() {
	for package in $packages; do
		grep -qs "\"version\": *\"${package##*@}\"" \
			"$npm/node_modules/${package%@*}/package.json" || return 1
	done
}

# shellcheck disable=SC2086 # a list
if ! is_installed; then
	mkdir -p "$npm"
	HOME=$tap_home npm install --no-save --no-package-lock --ignore-scripts \
		--no-audit --no-fund --no-update-notifier --fetch-retries=0 \
		--fetch-timeout=30000 --cache "$npm/cache" --prefix "$npm" \
		$packages >npm.log 2>&1
	rm -rf "$npm/cache"
fi
is_installed || skip_all "npm cannot install $packages"

node "$TOP/tests/peers.mjs" "$npm"
exit
