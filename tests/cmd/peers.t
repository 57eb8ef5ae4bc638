#!/bin/sh
# The senders' own packages judge us: what they sign we accept, what we sign
# they accept, and we refuse what they refuse. The table is tests/peers.mjs.
#
# The packages are fetched once, into the build folder; without node, npm or the
# registry there is nothing to compare with.
. "$(dirname "$0")/../lib.sh"

need_npm npm-peers stripe@23.1.0 retell-sdk@5.66.1 standardwebhooks@1.1.1
node -e 'process.exit(globalThis.crypto?.subtle ? 0 : 1)' 2>/dev/null ||
	skip_all 'node is too old'

node "$TOP/tests/peers.mjs" "$npm"
exit
