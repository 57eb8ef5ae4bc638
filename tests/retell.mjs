// retell: our requests to Retell beside its own package, as TAP.
//
//	node retell.mjs FOLDER REQUESTS URL	FOLDER has retell-sdk and
//						typescript in its node_modules
//
// REQUESTS is what tests/httpd.c, at URL, wrote down of our commands' requests.
// Each kind of them is to be there. Its body is put, as a literal, where the
// package's types want one, which leaves nothing undeclared and nothing out; so
// that this is seen to refuse, the same is done to bodies with a fault in them,
// and to what the tests let Retell answer. Then the package sends the same, and
// both must have come alike.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const [folder, requests, url] = process.argv.slice(2);
const require = createRequire(folder + '/');
const ts = require('typescript');
const { Retell } = require('retell-sdk');

let count = 0, failed = 0;

function end() {
	console.log(`1..${count}`);
	process.exit(failed > 0 ? 1 : 0);
}

function ok(fact, name, ...why) {
	console.log(`${fact ? 'ok' : 'not ok'} ${++count} - ${name}`);
	if (!fact) {
		failed++;
		for (const line of why)
			console.log(`# ${line}`);
	}
}

const came = () => readFileSync(requests, 'utf8').trim().split('\n')
	.map(line => JSON.parse(line));
const same = (one, other) =>
	require('node:util').isDeepStrictEqual(one, other);
const data = name => JSON.parse(readFileSync(
	new URL(`data/retell/${name}.json`, import.meta.url), 'utf8'));

//
// What we send, and how the package is told to send it.
//

const has = (body, name) => body?.filter_criteria?.[name] !== undefined;
const KINDS = [
	{ name: 'create-phone-call', path: /^\/v2\/create-phone-call$/,
		type: 'CallCreatePhoneCallParams',
		send: (client, body) => client.call.createPhoneCall(body) },
	{ name: 'list-calls, by our key', path: /^\/v3\/list-calls$/,
		which: body => has(body, 'metadata'), type: 'CallListParams',
		send: (client, body) => client.call.list(body) },
	{ name: 'list-calls, a day', path: /^\/v3\/list-calls$/,
		which: body => has(body, 'start_timestamp') &&
			!has(body, 'call_status'), type: 'CallListParams',
		send: (client, body) => client.call.list(body) },
	{ name: 'list-calls, a day of connected ones', path: /^\/v3\/list-calls$/,
		which: body => has(body, 'call_status'), type: 'CallListParams',
		send: (client, body) => client.call.list(body) },
	{ name: 'get-call', path: /^\/v2\/get-call\/(.*)$/,
		send: (client, body, id) =>
			client.call.retrieve(decodeURIComponent(id)) },
	{ name: 'get-concurrency', path: /^\/get-concurrency$/,
		send: client => client.concurrency.retrieve() },
];

const ours = came();

for (const kind of KINDS) {
	kind.ours = ours.find(request => kind.path.test(request.path) &&
		(kind.which === undefined || kind.which(JSON.parse(request.body))));
	ok(kind.ours !== undefined, `${kind.name}: we send one`);
	if (kind.ours?.body)
		kind.body = JSON.parse(kind.ours.body);
}
if (failed > 0)
	end();

//
// Types. One literal a line; the lines with errors are those that are refused.
//

const lines = ["import type { Retell } from 'retell-sdk';"];
const checks = [];

function check(name, type, value, wanted = true) {
	checks.push({ name, wanted, line: lines.length });
	lines.push(`export const _${lines.length}: Retell.${type} = ` +
		`${JSON.stringify(value)};`);
}

function refuse(name, type, value, change) {
	const changed = structuredClone(value);

	change(changed);
	check(name, type, changed, false);
}

for (const { name, type, body } of KINDS)
	if (type !== undefined && body !== undefined)
		check(`${name}: a ${type}`, type, body);
check('what a call is answered with', 'PhoneCallResponse',
	data('create-phone-call-201'));
check('a list', 'CallListResponse', data('list-calls-v3-page1'));
check('a count', 'CallListResponse', data('list-calls-v3-count-only'));
check('get-concurrency', 'ConcurrencyRetrieveResponse',
	data('get-concurrency-200'));

const [order, by_key, day, connected] = KINDS.map(kind => kind.body);
refuse('an order without a number', 'CallCreatePhoneCallParams', order,
	body => delete body.to_number);
refuse('a number that is none', 'CallCreatePhoneCallParams', order,
	body => body.from_number = 14155550100);
refuse('a key that nobody knows', 'CallCreatePhoneCallParams', order,
	body => body.agent_id = body.override_agent_id);
refuse('a variable that is no text', 'CallCreatePhoneCallParams', order,
	body => body.retell_llm_dynamic_variables.attempt = 1);
refuse('filters as they were in v2', 'CallListParams', by_key,
	body => body.filter_criteria.metadata = { automate_key: 'call:l1:1' });
refuse('an operator that nobody knows', 'CallListParams', by_key,
	body => body.filter_criteria.metadata[0].op = 'is');
refuse('a range of dates', 'CallListParams', day,
	body => body.filter_criteria.start_timestamp.value = ['2026-10-05']);
refuse('a filter that nobody knows', 'CallListParams', day,
	body => body.filter_criteria.began_at =
		body.filter_criteria.start_timestamp);
refuse('a status that nobody knows', 'CallListParams', connected,
	body => body.filter_criteria.call_status.value.push('done'));
refuse('a limit that is no number', 'CallListParams', connected,
	body => body.limit = '1');

const FILE = `${folder}/sent.ts`;
const options = { strict: true, noEmit: true, skipLibCheck: true, types: [],
	lib: ['lib.es2022.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'],
	target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext,
	moduleResolution: ts.ModuleResolutionKind.Bundler };
const host = ts.createCompilerHost(options);
const { getSourceFile, fileExists, readFile } = host;
const text = lines.join('\n');

host.fileExists = name => name === FILE || fileExists(name);
host.readFile = name => name === FILE ? text : readFile(name);
host.getSourceFile = (name, ...rest) => name === FILE
	? ts.createSourceFile(name, text, ...rest)
	: getSourceFile(name, ...rest);

const wrong = new Map();
for (const found of ts.getPreEmitDiagnostics(
	ts.createProgram([FILE], options, host))) {
	const line = found.file === undefined ? 0
		: found.file.getLineAndCharacterOfPosition(found.start).line;

	wrong.set(line, ts.flattenDiagnosticMessageText(found.messageText, ' '));
}
ok(!wrong.has(0), 'the types are found', wrong.get(0));
for (const { name, wanted, line } of checks)
	ok(wrong.has(line) !== wanted, wanted ? name : `${name}: refused`,
		wrong.get(line) ?? 'nothing is wrong with it', lines[line]);

//
// The same, sent by the package.
//

const client = new Retell({ apiKey: 'key_one', baseURL: url, maxRetries: 0 });
const HEADERS = ['authorization', 'content-type'];

for (const { name, path, ours, body, send } of KINDS) {
	if (ours === undefined)
		continue;
	const before = came().length;
	await send(client, body, path.exec(ours.path)[1]).catch(() => {});
	const theirs = came()[before];

	ok(theirs?.method === ours.method && theirs?.path === ours.path &&
		theirs?.query === ours.query,
		`${name}: method and path are theirs`,
		`ours: ${ours.method} ${ours.path}`,
		`theirs: ${theirs?.method} ${theirs?.path}`);
	ok(same(theirs?.body && JSON.parse(theirs.body), body ?? ''),
		`${name}: the body is theirs`, `ours: ${ours.body}`,
		`theirs: ${theirs?.body}`);
	ok(HEADERS.every(header =>
		theirs?.headers[header] === ours.headers[header]),
		`${name}: key and kind of body stand where theirs do`,
		JSON.stringify(ours.headers), JSON.stringify(theirs?.headers));
}

end();
