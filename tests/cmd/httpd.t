#!/bin/sh
# The receiver that the other scripts rely on does as its script says.
. "$(dirname "$0")/../lib.sh"

command -v curl >/dev/null || skip_all 'no curl'
start_httpd

ask() {
	run curl -sS -q --max-time 20 --noproxy '*' "$@"
}

code() {
	ask -o answer -w '%{http_code}' "$@"
	cat out
}

ask -d 'a "quoted" \ line' -H 'X-One: 1' -H 'x-one: 2' "$URL/any?x=1&y"
is "$(cat out)" ok 'a path that the script has not answers ok'
is "$(request 1 '$.method') $(request 1 '$.path') $(request 1 '$.query')" \
	'POST /any x=1&y' 'method, path and query are written down'
is "$(request 1 '$.body')" 'a "quoted" \ line' 'so is the body'
is "$(request 1 '$.headers."x-one"')" '1, 2' 'and headers, repeated ones joined'
is "$(request 1 '$.n')" 1 'with a number'

printf 'e\303\251 \355\240\200 \377\n\001' | ask --data-binary @- "$URL/any"
is "$(request 2 '$.body')" "$(printf 'e\303\251 \357\277\275\357\277\275\357\277\275 \357\277\275\n\001')" \
	'bytes that are not UTF-8 are replaced'

script '# what /a answers' '' '/a 500 body=first' '/b 404' '/a 201 body=second'
is "$(code "$URL/a") $(code "$URL/b") $(code "$URL/a?q") $(code "$URL/a")" \
	'500 404 201 201' 'lines are used up in order, the last for ever'
is "$(cat answer)" second 'with their body'
script '/a 503'
is "$(code "$URL/a") $(code "$URL/b")" '503 200' 'a new script counts at once'
echo '/a 4100' >script.new
ok 'a bad line is said, with its number' sh -c '
	! httpd -r r -p p -s script.new 2>said && grep -q "script.new:1:" said'

script '/a 302 header=Location:/b\x20c header=Retry-After:7 body=x\ty\\\nz'
ask -i "$URL/a"
like "$(cat out)" "^Location:/b c$(printf '\r')\$" 'headers are sent'
is "$(tail -n 2 out)" "$(printf 'x\ty\\\nz')" 'escapes are understood'
script '/a 204'
is "$(code "$URL/a")" 204 'a status without a body has none'

script '/a 200 close=before' '/b 200 close=mid body=half of this' \
	'/c 200 garbage' '/d 200 hang' '/e 200 hang close=mid body=half of this' \
	'/f 200 garbage body=HTTP/1.1 299 \r\nContent-Length:1\r\n\r\nz'
ask "$URL/a"
is_status 52 'close=before answers nothing'
ask "$URL/b"
is_status 18 'close=mid breaks off'
is "$(cat out)" 'half o' 'after half of the body'
ask "$URL/c"
is_status 1 'garbage is not HTTP'
ask -m 0.2 "$URL/d"
is_status 28 'hang never answers'
ask -m 0.2 "$URL/e"
is "$status $(cat out)" '28 half o' 'nor goes on at half'
is "$(code "$URL/f")" 299 'garbage with a text sends that'
is "$(requests) $(requests /d)" '16 1' 'each request is counted once'

script '/a 200 delay=150'
ask -o answer -w '%{time_total}' "$URL/a"
like "$(cat out)" '^0[.,](1[5-9]|[2-9])|^[1-9]' 'delay is waited for'

head -c 3000000 /dev/zero | tr '\0' z >big
ask -H 'Expect: 100-continue' --data-binary @big "$URL/big"
is "$(tail -n 1 requests | wc -c | tr -d ' ' | cut -c -4)" 3000 \
	'a large body after 100 Continue'
printf 'one two' | ask -T - -X POST -H 'Content-Length:' "$URL/chunks"
is "$(request "$(requests)" '$.body')" 'one two' 'a body in chunks'
ask -w '%{num_connects}\n' -o /dev/null "$URL/a" -o /dev/null "$URL/b"
is "$(tr '\n' ' ' <out)" '1 0 ' 'connections are kept'

script '/many 200 delay=20'
seq -f "url = $URL/many?%g" 500 | sed 'p;s/.*/output = \/dev\/null/' >many
ask -Z --parallel-max 100 --parallel-immediate -K many
is "$status $(requests /many)" '0 500' 'many at once'
is "$(grep -cv '^{"n":[0-9]*,"at_ms".*,"body":".*"}$' requests)" 0 \
	'no line is torn'

start_httpd -q
ask -d body "$URL/a"
ask -d body "$URL/b"
kill -USR1 "$HTTPD"
wait_for 5 test -s requests
is "$(cat requests)" 2 '-q writes only the number, when asked'

done_testing
