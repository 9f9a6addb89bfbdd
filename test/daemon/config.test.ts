import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type LoadedConfig, loadConfig } from '../../src/daemon/config/load.ts'
import { formatProblem } from '../../src/daemon/config/problem.ts'
import { redact } from '../../src/daemon/config/redact.ts'
import { temporaryFolder } from '../support/temp-folder.ts'

const TOKEN_HASH = 'a'.repeat(64)
const MINIMAL = `
listen:
  http: 127.0.0.1:0
agents:
  waf:
    endpoint: grpc://127.0.0.1:50061
routes:
  - match: { path: /* }
    upstream: http://127.0.0.1:3000
    agents: [waf]
`

async function load(
  test: TestContext,
  text: string,
  environment: Record<string, string> = {},
  files: Record<string, string> = {},
): Promise<LoadedConfig & { readonly folder: string }> {
  const folder = await temporaryFolder(test)
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content)
  await writeFile(join(folder, 'weir.yaml'), text)
  return { ...loadConfig(join(folder, 'weir.yaml'), environment), folder }
}

/** The problems as lines, without the folder. */
async function problems(
  test: TestContext,
  text: string,
  environment?: Record<string, string>,
): Promise<string[]> {
  const loaded = await load(test, text, environment)
  if (loaded.isValid) return []
  return loaded.problems.map((problem) => formatProblem(problem).replace(`${loaded.folder}/`, ''))
}

test('every default is filled in, agent before defaults before built in, and the result is frozen', async (t) => {
  const loaded = await load(t, `${MINIMAL}defaults: { timeoutMs: 250, onFailure: open }\n`)
  assert.ok(loaded.isValid)
  const [waf] = loaded.config.agents
  assert.equal(waf?.timeoutMs, 250)
  assert.equal(waf?.onFailure, 'open')
  assert.equal(waf?.connections, 4)
  assert.deepEqual(waf?.events, ['request-headers'])
  assert.equal(loaded.config.storage.path, join(loaded.folder, 'weir.db'))
  assert.throws(() => Object.assign(waf ?? {}, { timeoutMs: 1 }), TypeError)
})

test('limits preset for all agents hold for those that say nothing of limits', async (t) => {
  const text =
    `${MINIMAL.replace('    endpoint', '    limits: [{ name: own, ratePerSecond: 7 }]\n    endpoint')}
defaults:
  limit: { ratePerSecond: 5, burst: 9 }
  onLimit: skip
`.replace('agents:\n', 'agents:\n  other: { endpoint: unix:./other.sock }\n')
  const loaded = await load(t, text)
  assert.ok(loaded.isValid)
  const rules = new Map(loaded.config.agents.map(({ name, limits, onLimit }) => [name, { limits, onLimit }]))
  assert.deepEqual(
    rules.get('other')!.limits.map(({ name, ratePerSecond, burst }) => [name, ratePerSecond, burst]),
    [['limit', 5, 9]],
  )
  assert.equal(rules.get('other')!.onLimit, 'skip')
  assert.deepEqual(
    rules.get('waf')!.limits.map(({ name, ratePerSecond }) => [name, ratePerSecond]),
    [['own', 7]],
  )
})

test('a wrong value is reported with file, line, column, option, what it got and an example', async (t) => {
  assert.deepEqual(await problems(t, MINIMAL.replace('    endpoint', '    timeoutMs: fast\n    endpoint')), [
    'weir.yaml:6:16: agents.waf.timeoutMs: expected a number of milliseconds above 0, at most 2147483647, got "fast"; example: 1000',
  ])
})

test('all mistakes are reported at once, in the order of the file', async (t) => {
  const found = await problems(
    t,
    `
listen:
  htp: 127.0.0.1:8080
agents:
  waf:
    endpoint: ftp://127.0.0.1:1
    timeoutMs: 0
    limit: { ratePerSecond: -1, cost: allow }
routes: []
`,
  )
  assert.deepEqual(
    found.map((line) => line.split(' ').slice(0, 2).join(' ')),
    [
      'weir.yaml:3:3: listen.htp:',
      'weir.yaml:6:15: agents.waf.endpoint:',
      'weir.yaml:7:16: agents.waf.timeoutMs:',
      'weir.yaml:8:29: agents.waf.limit.ratePerSecond:',
      'weir.yaml:8:39: agents.waf.limit.cost:',
      'weir.yaml:9:1: routes:',
    ],
  )
  assert.match(found[0] ?? '', /unknown option; did you mean http\?/)
})

test('an unknown option far from every known one lists the known ones', async (t) => {
  const [line] = await problems(t, `${MINIMAL}storage: { path: ./a.db, zebra: 1 }\n`)
  assert.match(line ?? '', /storage\.zebra: unknown option; known: path, /)
})

test('mistakes inside an entry that may be a text or a mapping name the inner option', async (t) => {
  const text = MINIMAL.replace('listen:', 'listen:\n  admin: { adress: 127.0.0.1:0 }')
  const found = await problems(t, text)
  assert.ok(
    found.some((line) => /listen\.admin\.adress: unknown option; did you mean address\?/.test(line)),
    found.join('\n'),
  )
})

const CONTRADICTIONS: readonly (readonly [string, string, RegExp])[] = [
  [
    'an agent that no one defined',
    MINIMAL.replace('agents: [waf]', 'agents: [wav]'),
    /routes\[0\]\.agents\[0\]: no agent is named "wav"; did you mean waf\?/,
  ],
  [
    'two listeners on one address',
    MINIMAL.replace(':0\n', ':8080\n  admin: 127.0.0.1:8080\n'),
    /listen\.admin: 127\.0\.0\.1:8080 is already taken by listen\.http/,
  ],
  [
    'an agent without a way to reach it',
    MINIMAL.replace('endpoint: grpc://127.0.0.1:50061', 'timeoutMs: 5'),
    /agents\.waf: has neither endpoint nor reverse/,
  ],
  [
    'an agent that is dialed and dials in',
    MINIMAL.replace('    endpoint', `    reverse: { tokenSha256: ${TOKEN_HASH} }\n    endpoint`),
    /agents\.waf: has both endpoint and reverse/,
  ],
  [
    'a reverse agent without a token',
    MINIMAL.replace('endpoint: grpc://127.0.0.1:50061', 'reverse: {}').replace(
      'agents:\n',
      '  reverse: [unix:./a.sock]\nagents:\n',
    ),
    /agents\.waf\.reverse: has no token/,
  ],
  [
    'a reverse agent nobody can reach',
    MINIMAL.replace('endpoint: grpc://127.0.0.1:50061', `reverse: { tokenSha256: ${TOKEN_HASH} }`),
    /listen\.reverse is empty/,
  ],
  [
    'an admin API open to the network',
    MINIMAL.replace(':0\n', ':0\n  admin: 0.0.0.0:9901\n'),
    /listen\.admin: 0\.0\.0\.0:9901 can be reached from other machines/,
  ],
  [
    'nothing to listen at',
    MINIMAL.replace('http: 127.0.0.1:0', 'admin: 127.0.0.1:0'),
    /listen: nothing would be served/,
  ],
  [
    'a route without an upstream',
    MINIMAL.replace('    upstream: http://127.0.0.1:3000\n', ''),
    /routes\[0\]: has no upstream/,
  ],
  [
    'an option without effect',
    MINIMAL.replace('    endpoint', '    flowWaitMs: 5\n    endpoint'),
    /agents\.waf\.flowWaitMs: has no effect/,
  ],
  [
    'a negative end of sessions',
    MINIMAL.replace('    endpoint', '    sessions: { idleTtlMs: -1 }\n    endpoint'),
    /agents\.waf\.sessions\.idleTtlMs: expected a number from 0 to 2147483647, got -1; example: 300000/,
  ],
  [
    'an end of sessions that are not kept',
    MINIMAL.replace('    endpoint', '    sessions: { maxSessions: 0, idleTtlMs: 5 }\n    endpoint'),
    /agents\.waf\.sessions\.idleTtlMs: has no effect: with sessions\.maxSessions: 0 .*; remove it/,
  ],
  [
    'a socket path longer than the system takes',
    MINIMAL.replace('grpc://127.0.0.1:50061', `unix:./${'x'.repeat(100)}`),
    /longer than 107 bytes/,
  ],
  [
    'a trusted proxy that is no address',
    `${MINIMAL}http: { trustedProxies: [10.0.0.1, ten.example] }\n`,
    /http\.trustedProxies\[1\]: .*"ten\.example" is neither an address nor a CIDR range; example/,
  ],
  [
    'a range without its prefix length, which would trust everybody',
    `${MINIMAL}http: { trustedProxies: [10.0.0.0/] }\n`,
    /http\.trustedProxies\[0\]: .*"10\.0\.0\.0\/" is neither/,
  ],
  ['a via name no header can have', `${MINIMAL}http: { via: "x\\ny" }\n`, /http\.via: http\.via is "x\\ny"/],
  [
    'a host pattern that matches nothing',
    MINIMAL.replace('{ path: /* }', '{ host: "a*b", path: /* }'),
    /routes\[0\]\.match: .*host "a\*b" is not a name/,
  ],
  [
    'an upstream with a user',
    MINIMAL.replace('http://127.0.0.1:3000', 'http://me@127.0.0.1:3000'),
    /routes\[0\]\.upstream: expected an http:\/\/ or https:\/\/ origin without user and path/,
  ],
  [
    'an upstream that is no URL',
    MINIMAL.replace('http://127.0.0.1:3000', 'http://127.0.0.1:99999'),
    /routes\[0\]\.upstream: expected/,
  ],
  [
    'a limit by session without sessions',
    MINIMAL.replace('    endpoint', '    limit: { ratePerSecond: 1, key: session }\n    endpoint'),
    /agents\.waf\.limit\.key: .*set sessionKey/,
  ],
  [
    'two limits of one name',
    MINIMAL.replace('    endpoint', '    limits: [{ ratePerSecond: 1 }, { ratePerSecond: 2 }]\n    endpoint'),
    /agents\.waf\.limits\[1\]\.name: "limit" is used twice/,
  ],
  [
    'limit beside limits',
    MINIMAL.replace(
      '    endpoint',
      '    limit: { ratePerSecond: 1 }\n    limits: [{ name: a, ratePerSecond: 2 }]\n    endpoint',
    ),
    /agents\.waf\.limits: limit and limits exclude each other/,
  ],
  [
    'a route that leads back to Weir',
    MINIMAL.replace('127.0.0.1:0', '127.0.0.1:8090').replace('127.0.0.1:3000', 'localhost:8090'),
    /routes\[0\]\.upstream: http:\/\/localhost:8090 is listen\.http itself/,
  ],
  ['a duplicate key', `${MINIMAL}agents: {}\n`, /weir\.yaml:11:\d+: .*unique/i],
  [
    'a least above its most',
    `${MINIMAL}overload: { minInFlight: 100, maxInFlight: 5 }\n`,
    /overload\.minInFlight: minInFlight \(100\) is above maxInFlight \(5\)/,
  ],
  [
    'a most below the least that nobody wrote',
    `${MINIMAL}overload: { maxInFlight: 5 }\n`,
    /overload\.maxInFlight: minInFlight \(50\) is above maxInFlight \(5\)/,
  ],
  [
    'a first pause between dials above the longest',
    MINIMAL.replace('    endpoint', '    reconnect: { initialMs: 5000 }\n    endpoint'),
    /agents\.waf\.reconnect\.initialMs: reconnect\.initialMs \(5000\) is above reconnect\.maxMs \(2000\)/,
  ],
  [
    'a first pause of a breaker above the longest',
    MINIMAL.replace('    endpoint', '    breaker: { openMs: 9, maxOpenMs: 8 }\n    endpoint'),
    /agents\.waf\.breaker\.openMs: breaker\.openMs \(9\) is above breaker\.maxOpenMs \(8\)/,
  ],
  [
    'a hedge after the end',
    MINIMAL.replace('    endpoint', '    hedgeAfterMs: 300\n    timeoutMs: 300\n    endpoint'),
    /agents\.waf\.hedgeAfterMs: hedgeAfterMs \(300\) is no less than timeoutMs \(300\)/,
  ],
  [
    'a wait beyond the end',
    MINIMAL.replace('    endpoint', '    onPause: wait\n    flowWaitMs: 1001\n    endpoint'),
    /agents\.waf\.flowWaitMs: flowWaitMs \(1001\) is above timeoutMs \(1000\)/,
  ],
  [
    'a preset hedge after the preset end',
    `${MINIMAL}defaults: { hedgeAfterMs: 30, timeoutMs: 20 }\n`,
    /defaults\.hedgeAfterMs: hedgeAfterMs \(30\) is above timeoutMs \(20\)/,
  ],
  [
    'a duplicate key inside an agent',
    MINIMAL.replace('    endpoint', '    endpoint: grpc://127.0.0.1:1\n    endpoint'),
    /weir\.yaml:7:\d+: agents\.waf\.endpoint: is given twice/,
  ],
  [
    'an endpoint of an unknown scheme',
    MINIMAL.replace('grpc://', 'ftp://'),
    /agents\.waf\.endpoint: expected grpc:.*http:\/\/.*https:\/\//,
  ],
  ['text that is not YAML', 'listen: [', /weir\.yaml:1:\d+: /],
  ['an empty file', '', /listen: expected a mapping/],
]
for (const [what, text, wanted] of CONTRADICTIONS)
  test(`${what} is refused`, async (t) => {
    const found = await problems(t, text)
    assert.ok(
      found.some((line) => wanted.test(line)),
      found.join('\n') || 'no problem found',
    )
  })

test('a missing file is one problem that names it', async (t) => {
  const folder = await temporaryFolder(t)
  const loaded = loadConfig(join(folder, 'nothing.yaml'))
  assert.ok(!loaded.isValid)
  assert.match(formatProblem(loaded.problems[0]!), /nothing\.yaml: cannot read the configuration/)
})

test('references are filled in from the environment and from files, with defaults', async (t) => {
  const text = MINIMAL.replace(
    'http: 127.0.0.1:0',
    `http: 127.0.0.1:\${env:PORT:-8080}
  reverse: [unix:./a.sock]`,
  ).replace(
    'endpoint: grpc://127.0.0.1:50061',
    `reverse: { tokenSha256: "\${file:token}" }\n    config: { key: "\${env:KEY}" }`,
  )
  const loaded = await load(t, text, { KEY: 'k1' }, { token: `${TOKEN_HASH}\n` })
  assert.ok(loaded.isValid, JSON.stringify(loaded))
  assert.deepEqual(loaded.config.listen.http, { kind: 'tcp', host: '127.0.0.1', port: 8080 })
  const [waf] = loaded.config.agents
  assert.deepEqual(waf?.config, { key: 'k1' })
  assert.ok(waf?.origin.kind === 'reverse')
  assert.deepEqual(waf.origin.tokenSha256s, [TOKEN_HASH])
  assert.deepEqual(loaded.config.files, [join(loaded.folder, 'weir.yaml'), join(loaded.folder, 'token')])
})

test('a missing variable, an unreadable file and an unknown reference are problems of their own', async (t) => {
  const text = `${MINIMAL}storage: { path: "\${env:NOPE}" }\nlog: { level: "\${file:nope}" }\n`
  const found = await problems(t, text)
  assert.equal(found.length, 2, found.join('\n'))
  assert.match(found[0] ?? '', /storage\.path: the environment variable NOPE is not set/)
  assert.match(found[1] ?? '', /log\.level: cannot read /)
  assert.match(
    (await problems(t, `${MINIMAL}storage: { path: "\${evn:HOME}" }\n`))[0] ?? '',
    /unknown reference/,
  )
})

test('neither messages nor the shown configuration contain a secret', async (t) => {
  const secret = 's3cr3t-value'
  const reverse = MINIMAL.replace('agents:\n', '  reverse: [unix:./a.sock]\nagents:\n')
  const wrong = reverse.replace('endpoint: grpc://127.0.0.1:50061', `reverse: { tokenSha256: "\${env:T}" }`)
  for (const line of await problems(t, wrong, { T: secret })) assert.ok(!line.includes(secret), line)
  const plain = reverse.replace('endpoint: grpc://127.0.0.1:50061', `reverse: { tokenSha256: ${secret} }`)
  for (const line of await problems(t, plain)) assert.ok(!line.includes(secret), line)

  const shown = await load(
    t,
    `${MINIMAL.replace('    endpoint', `    config: { apiKey: ${secret}, url: "\${env:U}", password: "\${env:P:-${secret}}" }\n    endpoint`)}`,
    { U: secret, P: 'x' },
  )
  assert.ok(shown.isValid, JSON.stringify(shown))
  const printed = JSON.stringify(redact(shown.document))
  assert.ok(!printed.includes(secret), printed)
  assert.ok(printed.includes(`\${env:U}`))
})

test('an agent that dials in has a proof, and a proof that is given is never without effect', async (t) => {
  const hash = 'a'.repeat(64)
  const text = (reverse: string): string => `
listen: { http: 127.0.0.1:0, reverse: [unix:./agents.sock] }
agents: { pii: { reverse: ${reverse} } }
routes: [{ match: { path: /* }, upstream: "http://127.0.0.1:3000", agents: [pii] }]
`
  assert.match((await problems(t, text('{}'))).join(), /has no token, so anyone could register/)
  assert.match((await problems(t, text('{ tokenSha256s: [] }'))).join(), /at least one/)
  const both = await problems(t, text(`{ tokenSha256: ${hash}, allowAnonymous: true }`))
  assert.match(both.join(), /contradicts the proof/)
  const unseen = await problems(t, text('{ clientCertificateSan: waf.example }'))
  assert.match(unseen.join(), /reverse/)
  assert.deepEqual(await problems(t, text(`{ tokenSha256: ${hash} }`)), [])
  assert.deepEqual(await problems(t, text('{ allowAnonymous: true }')), [])
})

test('what contradicts another option is reported beside what is wrong by itself', async (t) => {
  const text = `
listen:
  http: 127.0.0.1:8080
  grpc: 0.0.0.0:8080
  reverse: [tcp://127.0.0.1:8080, tcp://10.0.0.1]
agents:
  waf: { endpoint: grpc://127.0.0.1:50061, timeoutMs: fast, limits: [{ name: a, ratePerSecond: 1 }, { name: a, ratePerSecond: 2 }] }
  auth: { endpoint: "nowhere", limit: { burst: 3 } }
  pii: { reverse: {} }
routes:
  - { match: { path: /* }, upstream: http://127.0.0.1:3000, agents: [waf, auth, wuf] }
  - { match: {}, upstream: http://127.0.0.1:3000, agents: [nobody] }
  - { match: { path: /* }, agents: [] }
`
  const found = (await problems(t, text)).map((line) => line.replace(/^weir\.yaml:/, ''))
  assert.deepEqual(
    found.map((line) => /^\d+:\d+: ([^:]+): /.exec(line)?.[1]),
    [
      'listen.grpc',
      'listen.reverse[0]',
      'listen.reverse[1]',
      'agents.waf.timeoutMs',
      'agents.waf.limits[1].name',
      'agents.auth.endpoint',
      'agents.auth.limit.ratePerSecond',
      'agents.pii.reverse',
      'routes[0].agents[2]',
      'routes[1].match.path',
    ],
    found.join('\n'),
  )
  assert.match(
    found[0] ?? '',
    /^4:\d+: .*0\.0\.0\.0:8080 is already taken by listen\.http \(127\.0\.0\.1:8080\)/,
  )
})

test('a mistake is not told a second time by what depends on it', async (t) => {
  const broken: readonly (readonly [text: string, option: string])[] = [
    [MINIMAL.replace('http: 127.0.0.1:0', 'http: here'), 'listen.http'],
    [MINIMAL.replace('endpoint: grpc', 'endpoint: grcp'), 'agents.waf.endpoint'],
    [MINIMAL.replace('  waf:\n    endpoint: grpc://127.0.0.1:50061', '  waf: 7'), 'agents.waf'],
    [MINIMAL.replace('agents:\n  waf:', 'agents:\n  "w f":'), 'agents.w f'],
    [
      `${MINIMAL}sessionKey: nothing\ndefaults: { limit: { ratePerSecond: 1, key: session } }\n`,
      'sessionKey',
    ],
    [MINIMAL.replace('upstream: http://127.0.0.1:3000', 'upstream: 3000'), 'routes[0].upstream'],
    [
      `${MINIMAL.replace('http:', 'reverse: 5\n  http:')}`.replace(
        'endpoint: grpc://127.0.0.1:50061',
        'reverse: { allowAnonymous: true }',
      ),
      'listen.reverse',
    ],
    [`${MINIMAL}nonsense: 1\n`, 'nonsense'],
  ]
  for (const [text, option] of broken) {
    const found = await problems(t, text)
    assert.deepEqual(
      found.map((line) => /^weir\.yaml:\d+:\d+: ([^:]+): /.exec(line)?.[1]),
      [option],
      found.join('\n'),
    )
  }
})

test('listeners of one port collide when a wildcard covers the other address, and not otherwise', async (t) => {
  const pair = async (http: string, grpc: string): Promise<number> =>
    (await problems(t, MINIMAL.replace('http: 127.0.0.1:0', `http: "${http}"\n  grpc: "${grpc}"`))).length
  for (const [one, other] of [
    ['127.0.0.1:9000', '0.0.0.0:9000'],
    ['[::]:9000', '127.0.0.1:9000'],
    ['[::]:9000', '0.0.0.0:9000'],
    ['localhost:9000', '127.0.0.1:9000'],
  ] as const) {
    assert.equal(await pair(one, other), 1, `${one} and ${other}`)
    assert.equal(await pair(other, one), 1, `${other} and ${one}`)
  }
  assert.equal(await pair('127.0.0.1:9000', '127.0.0.2:9000'), 0)
  assert.equal(await pair('0.0.0.0:9000', '[::1]:9000'), 0)
  assert.equal(await pair('0.0.0.0:9000', '127.0.0.1:9001'), 0)
})
