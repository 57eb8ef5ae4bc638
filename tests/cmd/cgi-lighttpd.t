#!/bin/sh
# automate-cgi behind lighttpd, from etc/lighttpd.conf.
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/cgi.sh
. "$TOP/tests/cgi.sh"
# shellcheck disable=SC2119 # no options
start_httpd
cgi_config
install_commands
start_server lighttpd || skip_all 'no lighttpd'
cgi_tests
done_testing
