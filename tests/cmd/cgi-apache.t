#!/bin/sh
# automate-cgi behind Apache with mod_cgi, from etc/apache.conf.
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/cgi.sh
. "$TOP/tests/cgi.sh"
# shellcheck disable=SC2119 # no options
start_httpd
cgi_config
install_commands
start_server apache || skip_all 'no Apache with mod_cgi'
cgi_tests
done_testing
