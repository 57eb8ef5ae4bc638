// peers: our signatures beside those of the senders' own packages, as TAP.
//
//	node peers.mjs FOLDER		which has stripe, retell-sdk and
//					standardwebhooks in its node_modules
//
// Each row is a header, a body, our secrets and a time; it says which of the
// secrets their verifier takes (the number of the first, 0 for none), and which
// ours, tests/sign.c, where that is not the same, with the reason. Ours knows
// several secrets at once, theirs one, so theirs is asked for each.
import { spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { createRequire } from 'node:module';

const require = createRequire(process.argv[2] + '/');
const { webhooks } = new (require('stripe'))('sk_test_none');
const { Retell } = require('retell-sdk');
const { Webhook } = require('standardwebhooks');

let now_ms = 0;
Date.now = () => now_ms; // which is where they look

const NOW = 1795000000;
const ONE = 'whsec_b25lIG9mIHRoZSBzZWNyZXRz';
const TWO = 'whsec_dHdvIG9mIHRoZSBzZWNyZXRz';
const ID = 'msg_p5jXN8AQM9LWM0D4loKWxJek';
const BODY = '{"id":"evt_1","name":"Zoë"}';

const BODIES = {
	'an object': BODY,
	'an empty object': '{}',
	'lines and blanks': '{\n  "id": "evt_1"\n}\n',
	'CR LF': '{\r\n"id": "evt_1"\r\n}\r\n',
	'no JSON': 'id=evt_1&name=Zo%C3%AB',
	'four bytes a character': '{"name":"\u{1f9fe}\u{10ffff}"}',
	'U+2028 and U+0000': '{"name":"\u2028\u0000"}',
	'a dot': '.',
	'digits': '17950000001795000000',
	'a mebibyte': JSON.stringify({ text: 'é'.repeat(1 << 19) }),
};

let count = 0, failed = 0;

function ok(fact, name, ...why) {
	console.log(`${fact ? 'ok' : 'not ok'} ${++count} - ${name}`);
	if (!fact) {
		failed++;
		for (const line of why)
			console.log(`# ${line}`);
	}
}

// What tests/sign.c prints.
function sign(body, ...operands) {
	const run = spawnSync('sign', operands.map(String), { input: body });

	if (run.error || ![0, 77, 78].includes(run.status))
		throw run.error ?? new Error(`sign: ${run.stderr}`);
	return run.status === 0 ? run.stdout.toString().trim() : '';
}

// The number of the first secret for which verify() does not object.
async function first(secrets, verify) {
	for (const [i, secret] of secrets.entries())
		try {
			if (await verify(secret) !== false)
				return i + 1;
		} catch {
			continue;
		}
	return 0;
}

async function compare(name, ours, verify, row) {
	const wanted = row.ours ?? row.theirs;
	const theirs = await first(row.secrets, verify);
	const same = wanted === row.theirs;
	const verdict = `${wanted ? 'taken' : 'refused'}` +
		(same ? '' : `, other than theirs: ${row.why}`);

	ok(theirs === row.theirs && Number(ours) === wanted &&
		(same || row.why !== undefined), `${name}: ${verdict}`,
		`theirs: ${theirs}, wanted ${row.theirs}`,
		`ours: ${Number(ours)}, wanted ${wanted}`);
}

//
// Stripe
//

const hmac = (secret, ...parts) => parts.reduce((h, part) => h.update(part),
	createHmac('sha256', secret)).digest('hex');
const stripe_header = (secret, t = NOW, body = BODY) =>
	webhooks.generateTestHeaderString({ payload: body, secret, timestamp: t });
const v1 = (secret, t, body) => stripe_header(secret, t, body).split('v1=')[1];
const ZEROS = '0'.repeat(64);

async function stripe(header, row) {
	row = { body: BODY, secrets: [ONE], now: NOW, ...row };
	await compare(`stripe, ${row.name}`, sign(row.body, 'verify-stripe',
		row.secrets.join(' '), header, row.now),
		secret => webhooks.signature.verifyHeader(
			Buffer.from(row.body), header, secret, undefined,
			undefined, row.now * 1000),
		row);
}

const REPEATED = 'age and hash must be of the same t';
const DIGITS = 'they read a number at the start and leave the rest';

for (const [name, body] of Object.entries(BODIES)) {
	await stripe(stripe_header(ONE, NOW, body), { name, body, theirs: 1 });
	await stripe(sign(body, 'stripe', ONE, NOW),
		{ name: `${name}, signed by us`, body, theirs: 1 });
}
for (const [header, row] of [
	[`t=${NOW},v1=${v1(ONE)},v0=${ZEROS}`,
		{ name: 'a v0 as test events have it', theirs: 1 }],
	[`v1=${v1(ONE)},t=${NOW}`, { name: 't last', theirs: 1 }],
	[`t=${NOW},v2=x,scheme,=,,v1=${v1(ONE)},`,
		{ name: 'schemes nobody knows', theirs: 1 }],
	[`t=${NOW},v1=${v1(ONE)},v1=${v1(TWO)}`,
		{ name: 'two secrets sign', theirs: 1 }],
	[`t=${NOW},v1=${v1(ONE)},v1=${v1(TWO)}`,
		{ name: 'two secrets sign, we know the second', secrets: [TWO],
			theirs: 1 }],
	[stripe_header(TWO), { name: 'one signs, we know both',
		secrets: [ONE, TWO], theirs: 2 }],
	[`t=${NOW},v1=${ZEROS},v1=${v1(ONE)}`,
		{ name: 'a wrong one first', theirs: 1 }],
	[`t=${NOW},v1=x,v1=${v1(ONE)}`,
		{ name: 'a short one first', theirs: 1 }],
	[`t=${NOW},v1=,v1=${v1(ONE)}`,
		{ name: 'an empty one first', theirs: 0, ours: 1,
			why: 'theirs stumbles over it' }],

	[stripe_header(ONE, NOW - 300), { name: '300 s old', theirs: 1 }],
	[stripe_header(ONE, NOW - 301), { name: '301 s old', theirs: 0 }],
	[stripe_header(ONE, NOW - 86400), { name: 'a day old', theirs: 0 }],
	[stripe_header(ONE, NOW + 300), { name: '300 s ahead', theirs: 1 }],
	[stripe_header(ONE, NOW + 301), { name: '301 s ahead', theirs: 1,
		ours: 0, why: 'it could be sent again until then' }],
	[stripe_header(ONE, NOW + 86400 * 365), { name: 'a year ahead',
		theirs: 1, ours: 0, why: 'it could be sent again until then' }],

	[`t=${NOW},t=${NOW},v1=${v1(ONE)}`,
		{ name: 't twice', theirs: 1, ours: 0, why: REPEATED }],
	[`t=1,t=${NOW},v1=${v1(ONE)}`,
		{ name: 'the last t signed', theirs: 1, ours: 0, why: REPEATED }],
	[`t=${NOW},v1=${v1(ONE)},t=1`,
		{ name: 'the first t signed', theirs: 0 }],
	[`t=${NOW - 900},v1=${v1(ONE, NOW - 900)},t=${NOW}`,
		{ name: 'an old event with a new t', theirs: 0 }],
	[`v1=${v1(ONE)}`, { name: 'no t', theirs: 0 }],
	[`T=${NOW},v1=${v1(ONE)}`, { name: 'T for t', theirs: 0 }],
	[`t=,v1=${v1(ONE)}`, { name: 'an empty t', theirs: 0 }],
	[`t=x,v1=${v1(ONE)}`, { name: 't no number', theirs: 0 }],
	[`t=NaN,v1=${hmac(ONE, 'NaN.', BODY)}`,
		{ name: 't no number, and so signed', theirs: 1, ours: 0,
			why: 'no time, no age' }],
	[`t= ${NOW},v1=${v1(ONE)}`,
		{ name: 'a blank before t', theirs: 1, ours: 0, why: DIGITS }],
	[`t=${NOW}s,v1=${v1(ONE)}`,
		{ name: 'a letter behind t', theirs: 1, ours: 0, why: DIGITS }],
	[`t=${NOW}.5,v1=${v1(ONE)}`,
		{ name: 'a fraction of t', theirs: 1, ours: 0, why: DIGITS }],
	[`t=+${NOW},v1=${v1(ONE)}`,
		{ name: 'a sign before t', theirs: 1, ours: 0, why: DIGITS }],
	[`t=0${NOW},v1=${v1(ONE)}`,
		{ name: 'a zero before t', theirs: 1, ours: 0,
			why: 'we hash t as it was sent' }],
	[`t=${'9'.repeat(30)},v1=${v1(ONE)}`, { name: 'a huge t', theirs: 0 }],
	[`t=-1,v1=${hmac(ONE, '-1.', BODY)}`,
		{ name: 't = -1, which is how they mark none', theirs: 0 }],

	[`t=${NOW}`, { name: 'no v1', theirs: 0 }],
	[`t=${NOW},v0=${v1(ONE)}`, { name: 'only v0, though it fits', theirs: 0 }],
	[`t=${NOW},V1=${v1(ONE)}`, { name: 'V1 for v1', theirs: 0 }],
	[`t=${NOW},v1=`, { name: 'an empty v1', theirs: 0 }],
	[`t=${NOW},v1=${v1(ONE).toUpperCase()}`,
		{ name: 'upper case', theirs: 0 }],
	[`t=${NOW},v1=${v1(ONE).slice(1)}`, { name: 'a digit less', theirs: 0 }],
	[`t=${NOW},v1=${v1(ONE)}0`, { name: 'a digit more', theirs: 0 }],
	[`t=${NOW},v1=${v1(ONE)}\n`, { name: 'a line end', theirs: 0 }],
	[`t=${NOW},v1=${v1(ONE)}=x`,
		{ name: 'a second =', theirs: 1, ours: 0,
			why: 'the value goes up to the comma' }],
	[`t=${NOW}, v1=${v1(ONE)}`, { name: 'a blank', theirs: 0 }],
	[` t=${NOW},v1=${v1(ONE)}`, { name: 'a blank first', theirs: 0 }],
	[`t=${NOW};v1=${v1(ONE)}`, { name: 'a semicolon', theirs: 0 }],
	[`${stripe_header(ONE)}, ${stripe_header(ONE)}`,
		{ name: 'the header twice, joined', theirs: 1 }],
	['', { name: 'an empty header', theirs: 0 }],
	['t', { name: 'one letter', theirs: 0 }],
	[',=,', { name: 'rubbish', theirs: 0 }],
	[`${stripe_header(ONE)},${'x'.repeat(4096)}`,
		{ name: 'a header of four thousand bytes', theirs: 1, ours: 0,
			why: 'some bound there must be' }],

	[stripe_header(TWO), { name: 'another secret', theirs: 0 }],
	[stripe_header('x'), { name: 'a secret of one byte', secrets: ['x'],
		theirs: 1 }],
	[stripe_header('k'.repeat(200)), { name: 'a secret of 200 bytes',
		secrets: ['k'.repeat(200)], theirs: 1 }],
	[`t=${NOW},v1=${hmac('', `${NOW}.`, BODY)}`,
		{ name: 'an empty secret', secrets: [''], theirs: 0 }],
	[`t=${NOW},v1=${hmac(' ', `${NOW}.`, BODY)}`,
		{ name: 'a blank secret', secrets: [' '], theirs: 0 }],
	[`t=${NOW},v1=${hmac('one of the secrets', `${NOW}.`, BODY)}`,
		{ name: 'what whsec_ holds', theirs: 0 }],

	[stripe_header(ONE), { name: 'another body', body: BODY + ' ',
		theirs: 0 }],
	[stripe_header(ONE), { name: 'written anew',
		body: '{"id": "evt_1", "name": "Zoë"}', theirs: 0 }],
	[`t=${NOW},v1=${hmac(ONE, `${NOW}.`)}`,
		{ name: 'no body', body: '', theirs: 1 }],
	[`t=${NOW},v1=${hmac(ONE, `${NOW}.`, '\ufeff{}')}`,
		{ name: 'a byte order mark', body: '\ufeff{}', theirs: 0,
			ours: 1, why: 'we hash bytes, they drop it' }],
	[`t=${NOW},v1=${hmac(ONE, `${NOW}.`, '{}')}`,
		{ name: 'a byte order mark nobody signed', body: '\ufeff{}',
			theirs: 1, ours: 0, why: 'we hash bytes, they drop it' }],
	[`t=${NOW},v1=${hmac(ONE, `${NOW}.`, Buffer.from([0xff]))}`,
		{ name: 'no UTF-8', body: Buffer.from([0xff]), theirs: 0,
			ours: 1, why: 'we hash bytes, they text' }],
])
	await stripe(header, row);

//
// Retell
//

const KEY = 'key_test_retell_0123456789', OTHER = 'key_test_other';
const MS = NOW * 1000 + 123;

async function retell_header(key, v = MS, body = BODY) {
	now_ms = v;
	return Retell.sign(body, key);
}
const digest = (key, v, body) =>
	retell_header(key, v, body).then(header => header.split('d=')[1]);

async function retell(header, row) {
	row = { body: BODY, secrets: [KEY], ...row };
	now_ms = MS;
	await compare(`retell, ${row.name}`, sign(row.body, 'verify-retell',
		row.secrets.join(' '), header, MS),
		key => Retell.verify(String(row.body), key, header), row);
}

const D = await digest(KEY);

for (const [name, body] of Object.entries(BODIES)) {
	await retell(await retell_header(KEY, MS, body),
		{ name, body, theirs: 1 });
	await retell(sign(body, 'retell', KEY, MS),
		{ name: `${name}, signed by us`, body, theirs: 1 });
}
for (const [header, row] of [
	[await retell_header(KEY, MS - 300000), { name: '300000 ms old',
		theirs: 1 }],
	[await retell_header(KEY, MS - 300001), { name: '300001 ms old',
		theirs: 0 }],
	[await retell_header(KEY, MS + 300000), { name: '300000 ms ahead',
		theirs: 1 }],
	[await retell_header(KEY, MS + 300001), { name: '300001 ms ahead',
		theirs: 0 }],
	[`V=${MS},D=${D}`, { name: 'letters in upper case', theirs: 1 }],
	[`v=${MS},d=${D.toUpperCase()}`, { name: 'digits in upper case',
		theirs: 1 }],
	[await retell_header(OTHER), { name: 'two keys',
		secrets: [KEY, OTHER], theirs: 2 }],
	[await retell_header(OTHER), { name: 'another key', theirs: 0 }],
	[`v=${MS},d=${hmac('', BODY, String(MS))}`,
		{ name: 'an empty key', secrets: [''], theirs: 0 }],
	[`v=${MS + 1},d=${D}`, { name: 'another time', theirs: 0 }],
	[`v=0${MS},d=${D}`, { name: 'a zero before the time', theirs: 1,
		ours: 0, why: 'we hash the time as it was sent' }],
	[`v=${'9'.repeat(30)},d=${D}`, { name: 'a huge time', theirs: 0 }],
	[`v=-1,d=${D}`, { name: 'a time before all', theirs: 0 }],
	[`v=,d=${D}`, { name: 'no time', theirs: 0 }],
	[`v=${MS},d=${D.slice(1)}`, { name: 'a digit less', theirs: 0 }],
	[`v=${MS},d=${D}0`, { name: 'a digit more', theirs: 0 }],
	[`v=${MS},d=${'g'.repeat(64)}`, { name: 'no digits', theirs: 0 }],
	[`v=${MS},d=`, { name: 'nothing', theirs: 0 }],
	[`v=${MS}, d=${D}`, { name: 'a blank', theirs: 0 }],
	[` v=${MS},d=${D}`, { name: 'a blank first', theirs: 0 }],
	[`v=${MS},d=${D}\n`, { name: 'a line end', theirs: 0 }],
	[`v=${MS},d=${D},d=${D}`, { name: 'd twice', theirs: 0 }],
	[`d=${D},v=${MS}`, { name: 'd first', theirs: 0 }],
	[`t=${NOW},v1=${D}`, { name: "Stripe's", theirs: 0 }],
	['', { name: 'an empty header', theirs: 0 }],
	[`v=${MS},d=${D}`, { name: 'another body', body: '{}', theirs: 0 }],
	[`v=${MS},d=${hmac(KEY, String(MS))}`, { name: 'no body', body: '',
		theirs: 1 }],
	[`v=${MS},d=${hmac(KEY, Buffer.from([0xff]), String(MS))}`,
		{ name: 'no UTF-8', body: Buffer.from([0xff]), theirs: 0,
			ours: 1, why: 'we hash bytes, they text' }],
])
	await retell(header, row);

//
// Standard Webhooks
//

const standard_header = (secret, t = NOW, body = BODY, id = ID) =>
	new Webhook(secret).sign(id, new Date(t * 1000), body);

async function standard(header, row) {
	row = { body: BODY, secrets: [ONE], id: ID, timestamp: NOW, ...row };
	now_ms = MS;
	await compare(`standard, ${row.name}`, sign(row.body, 'verify-standard',
		row.secrets.join(' '), header, NOW, row.id, row.timestamp),
		secret => new Webhook(secret).verify(Buffer.from(row.body), {
			'webhook-id': row.id,
			'webhook-timestamp': String(row.timestamp),
			'webhook-signature': header,
		}, { jsonParse: false }),
		row);
}

const W = standard_header(ONE), X = standard_header(TWO);

for (const [name, body] of Object.entries(BODIES)) {
	await standard(standard_header(ONE, NOW, body),
		{ name, body, theirs: 1 });
	await standard(sign(body, 'standard', ONE, NOW, ID),
		{ name: `${name}, signed by us`, body, theirs: 1 });
}
for (const [header, row] of [
	[W, { name: 'a secret without whsec_', secrets: [ONE.slice(6)],
		theirs: 1, ours: 0, why: 'that is a bearer token' }],
	[W, { name: 'a secret as Supabase shows it', secrets: [`v1,${ONE}`],
		theirs: 0, ours: 1, why: 'Supabase has it taken off by hand' }],
	[`${X} ${W}`, { name: 'two signatures', theirs: 1 }],
	[`${X}, ${W}`, { name: 'two as Supabase joins them', theirs: 1 }],
	[`${W}, ${X}`, { name: 'the first of two so joined', theirs: 1 }],
	[X, { name: 'two secrets', secrets: [ONE, TWO], theirs: 2 }],
	[`  ${W}  `, { name: 'blanks', theirs: 1 }],
	[`v1a,x ${W}`, { name: 'v1a before', theirs: 1 }],
	[W.replace('v1,', 'v1a,'), { name: 'v1a alone', theirs: 0 }],
	[W.replace('v1,', 'v2,'), { name: 'v2 alone', theirs: 0 }],
	[W.replace('v1,', ''), { name: 'no version', theirs: 0 }],
	[W.replace('v1,', 'V1,'), { name: 'V1', theirs: 0 }],
	[`v1 ${W}`, { name: 'a version alone before', theirs: 1 }],
	[W.slice(0, -1), { name: 'a character less', theirs: 0 }],
	[W + '=', { name: 'a character more', theirs: 0 }],
	[W + ',x', { name: 'something behind a comma', theirs: 1, ours: 0,
		why: 'a token is a version and a signature' }],
	['v1,', { name: 'an empty signature', theirs: 0 }],
	['', { name: 'an empty header', theirs: 0 }],
	[X, { name: 'another secret', theirs: 0 }],
	...[300, -300].map(s => [standard_header(ONE, NOW - s),
		{ name: `${s} s old`, timestamp: NOW - s, theirs: 1 }]),
	...[301, -301].map(s => [standard_header(ONE, NOW - s),
		{ name: `${s} s old`, timestamp: NOW - s, theirs: 0 }]),
	[W, { name: 'another time', timestamp: NOW - 1, theirs: 0 }],
	[W, { name: 'no time', timestamp: '', theirs: 0 }],
	[W, { name: 'a time that is a word', timestamp: 'now', theirs: 0 }],
	[W, { name: 'a time in ms', timestamp: MS, theirs: 0 }],
	[W, { name: 'a time with a fraction', timestamp: `${NOW}.5`, theirs: 1,
		ours: 0, why: DIGITS }],
	[W, { name: 'a time with a blank', timestamp: ` ${NOW}`, theirs: 1,
		ours: 0, why: DIGITS }],
	[W, { name: 'another id', id: 'msg_2', theirs: 0 }],
	[W, { name: 'no id', id: '', theirs: 0 }],
	[standard_header(ONE, NOW, BODY, 'msg.1'), { name: 'an id with a dot',
		id: 'msg.1', theirs: 1, ours: 0,
		why: 'a dot ends the id in what is signed' }],
	[W, { name: 'another body', body: '{}', theirs: 0 }],
	[standard_header(ONE, NOW, ''), { name: 'no body', body: '',
		theirs: 1 }],
	[`v1,${createHmac('sha256', '').update(`${ID}.${NOW}.${BODY}`)
		.digest('base64')}`, { name: 'an empty secret',
		secrets: ['whsec_'], theirs: 0 }],
	[W, { name: 'a secret that is no base64', secrets: ['whsec_***'],
		theirs: 0 }],
	[standard_header('whsec_Zg=='), { name: 'a secret without its padding',
		secrets: ['whsec_Zg'], theirs: 0 }],
	[standard_header('whsec_' + 'QUJD'.repeat(50)),
		{ name: 'a secret of 150 bytes',
			secrets: ['whsec_' + 'QUJD'.repeat(50)], theirs: 1 }],
])
	await standard(header, row);

console.log(`1..${count}`);
process.exit(failed > 0 ? 1 : 0);
