import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { loadConfig } from '../../src/daemon/config/load.ts'
import { formatProblem } from '../../src/daemon/config/problem.ts'
import { finished, parsed } from '../cli/support.ts'
import { temporaryFolder } from '../support/temp-folder.ts'
import { Place } from './harness.ts'

const SECRET = 'a-secret-of-the-environment'
const CA = '{ ca: ./ca.pem }'

async function warningsOf(t: TestContext, agent: string, reverse = 'unix:./a.sock'): Promise<string[]> {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'ca.pem'), '-----BEGIN CERTIFICATE-----\n')
  const file = join(folder, 'weir.yaml')
  await writeFile(
    file,
    `
listen: { http: "127.0.0.1:0", reverse: ["${reverse}"] }
agents:
  waf: ${agent}
routes: [{ match: { path: /* }, upstream: "http://127.0.0.1:1", agents: [waf] }]
`,
  )
  const loaded = loadConfig(file, { KEY: SECRET })
  assert.ok(loaded.isValid, JSON.stringify(loaded))
  return loaded.warnings.map((warning) => formatProblem(warning).replace(`${folder}/`, ''))
}

const KEY = 'config: { level: 2, upstream: { value: "${env:KEY}" } }'
const REVERSE = 'reverse: { allowAnonymous: true }'

const IN_CLEAR: readonly (readonly [what: string, agent: string, reverse?: string])[] = [
  ['a reference over grpc://', `{ endpoint: "grpc://10.1.2.3:50061", ${KEY} }`],
  ['a reference over http://', `{ endpoint: "http://waf.example:50061", ${KEY} }`],
  ['a literal password', '{ endpoint: "grpc://10.1.2.3:50061", config: { password: hunter2 } }'],
  ['a reference in a list', '{ endpoint: "grpc://10.1.2.3:50061", config: [{ keys: ["x ${env:KEY}"] }] }'],
  ['a reference that is all there is', '{ endpoint: "grpc://10.1.2.3:50061", config: "${env:KEY}" }'],
  ['a reference over IPv6', `{ endpoint: "grpc://[2001:db8::1]:50061", ${KEY} }`],
  ['a reference to an agent that dials in over tcp://', `{ ${REVERSE}, ${KEY} }`, 'tcp://0.0.0.0:9001'],
]
for (const [what, agent, reverse] of IN_CLEAR)
  test(`${what} in the configuration of an agent elsewhere is warned of, and the file is valid`, async (t) => {
    const found = await warningsOf(t, agent, reverse)
    assert.equal(found.length, 1, found.join('\n'))
    assert.match(
      found[0]!,
      /^weir\.yaml:4:\d+: agents\.waf\.config\S*: warning: is sent to .* in clear, .*; use TLS, /,
    )
    assert.ok(!found[0]!.includes(SECRET) && !found[0]!.includes('hunter2'), 'the secret itself is not told')
  })

const SAFE: readonly (readonly [what: string, agent: string, reverse?: string])[] = [
  ['a secret over TLS', `{ endpoint: "grpcs://10.1.2.3:50061", ${KEY} }`],
  ['a secret over https://', `{ endpoint: "https://10.1.2.3:50061", tls: ${CA}, ${KEY} }`],
  ['a secret to this machine', `{ endpoint: "grpc://127.0.0.1:50061", ${KEY} }`],
  ['a secret to localhost', `{ endpoint: "grpc://localhost:50061", ${KEY} }`],
  ['a secret to ::1', `{ endpoint: "grpc://[::1]:50061", ${KEY} }`],
  ['a secret over a Unix socket', `{ endpoint: "unix:./waf.sock", ${KEY} }`],
  [
    'a configuration without secrets',
    '{ endpoint: "grpc://10.1.2.3:50061", config: { level: 2, token: null } }',
  ],
  ['no configuration', '{ endpoint: "grpc://10.1.2.3:50061" }'],
  ['a secret to an agent that dials in at a Unix socket', `{ ${REVERSE}, ${KEY} }`],
  ['a secret to an agent that dials in from here', `{ ${REVERSE}, ${KEY} }`, 'tcp://127.0.0.1:9001'],
]
for (const [what, agent, reverse] of SAFE)
  test(`${what} is not warned of`, async (t) => {
    assert.deepEqual(await warningsOf(t, agent, reverse), [])
  })

test('check prints the warnings and calls the file valid, and the daemon logs them at start and at a reload', async (t) => {
  const place = await Place.make(t)
  /* A host of the documentation range: nobody answers there. */
  const agents = (level: number): string =>
    `{ waf: { endpoint: "grpc://192.0.2.1:50061", config: { level: ${level}, apiKey: hunter2 } } }`
  await place.configure(agents(1), 'waf')
  const warning = /agents\.waf\.config\.apiKey: warning: is sent to grpc:\/\/192\.0\.2\.1:50061 in clear/
  const text = await finished(place.weir('check', '-c', place.file))
  assert.equal(text.code, 0)
  assert.match(text.text, warning)
  assert.match(text.text, /is valid: 1 agents/)
  const json = await finished(place.weir('check', '-c', place.file, '--json'))
  const { isValid, warnings } = parsed<{ isValid: boolean; warnings: { option: string }[] }>(json)
  assert.deepEqual([isValid, warnings.map(({ option }) => option)], [true, ['agents.waf.config.apiKey']])

  const daemon = await place.serve()
  await daemon.process.said(warning)
  await place.configure(agents(2), 'waf')
  await daemon.process.said(new RegExp(`${warning.source}[^]*${warning.source}`))
  assert.ok(!daemon.process.output().includes('hunter2'))
})
