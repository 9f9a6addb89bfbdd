import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Operations } from '../../src/admin/operations.ts'
import { type AdminAddress, type AdminServer, listenAdmin } from '../../src/admin/server.ts'
import type { AgentView, BanView } from '../../src/admin/views.ts'
import { WeirError } from '../../src/core/errors.ts'
import { type HttpAnswer, type HttpCall, httpCall } from '../support/http-call.ts'
import { temporaryFolder } from '../support/temp-folder.ts'

const WAF: AgentView = {
  name: 'waf',
  origin: 'dialed',
  endpoint: 'unix:/run/waf.sock',
  state: 'ready',
  reason: '',
  configTrouble: '',
  connections: 4,
  availableConnections: 4,
  wantedConnections: 4,
  inFlight: 0,
  waiting: 0,
  breaker: 'closed',
  breakerRetryMs: 0,
  onFailure: 'closed',
  software: 'waf 1',
  requests: 0,
  errors: 0,
  timeouts: 0,
  connectionErrors: 0,
  ejections: 0,
  dialFailures: 0,
  lost: 0,
  retired: 0,
  pauses: 0,
  resumes: 0,
  flowRejections: 0,
  overflows: 0,
  errorRate: 0,
  latencyMs: 0,
  queueMs: 0,
  queueMsTotal: 0,
  bodyBytesInFlight: 0,
  sessions: 0,
  bypasses: {},
  denials: {},
  announced: undefined,
  reported: undefined,
}
const CHANGE = { 'x-weir-admin': '1' }

/** Operations of a system with one agent, and what was done to it. */
function recordOperations(parts: Partial<Operations> = {}): { operations: Operations; done: string[] } {
  const done: string[] = []
  const bans: BanView[] = []
  function known(agent: string): void {
    if (agent !== 'waf') throw new WeirError('NOT_FOUND', `no agent is named "${agent}"`)
  }
  const operations: Operations = {
    status: () => assert.fail('not asked for'),
    readiness: () => [{ name: 'listeners', isOk: true, detail: '1 open' }],
    agents: () => [WAF],
    connections: () => [],
    limits: async (agent) => {
      if (agent !== undefined) known(agent)
      return []
    },
    limitKeys: async (agent) => ({ agent, keys: [], isComplete: true }),
    sessions: () => ({ total: 0, agents: [] }),
    sessionPage: (agent, { offset, limit, isRevealed }) => {
      done.push(`page ${offset} ${limit} ${isRevealed}`)
      return { agent, total: 0, offset, sessions: [] }
    },
    session: () => assert.fail('not asked for'),
    createSession: () => assert.fail('not asked for'),
    async clearSession(_, key) {
      done.push(`clear ${key}`)
      return true
    },
    clearSessions: async () => 0,
    pushes: () => [],
    push: () => ({ pushes: [], skipped: [] }),
    reload: async () => ({ file: 'weir.yaml', loadedAt: '', pendingRestart: [], untaken: [] }),
    bans: () => bans,
    banHistory: async () => [],
    async ban({ agent, reason, author }) {
      known(agent)
      const ban = { agent, reason, author, since: '2026-01-01T00:00:00.000Z', isWritten: true }
      bans.push(ban)
      return ban
    },
    async unban({ agent, reason, author }) {
      done.push(`unban ${agent} by ${author}: ${reason}`)
      const wasBanned = bans.length > 0
      bans.length = 0
      return { agent, wasBanned }
    },
    drain(agent) {
      known(agent)
      done.push(`drain ${agent}`)
    },
    undrain: (agent) => void done.push(`undrain ${agent}`),
    metrics: { contentType: 'text/plain', render: async () => 'weir_up 1\n' },
    audit: (action, facts) => void done.push(`audit ${action} ${String(facts['agent'])}`),
    ...parts,
  }
  return { operations, done }
}

async function open(
  t: TestContext,
  operations: Operations,
  address: AdminAddress = { kind: 'tcp', host: '127.0.0.1', port: 0 },
): Promise<{ server: AdminServer; call: (call: HttpCall) => Promise<HttpAnswer> }> {
  const server = await listenAdmin(address, operations)
  t.after(() => server.close())
  const place = address.kind === 'unix' ? { socketPath: address.path } : { port: server.port }
  return { server, call: (call) => httpCall({ ...place, ...call }) }
}

test('an operation without the admin header is refused and nothing happens', async (t) => {
  const { operations, done } = recordOperations()
  const { call } = await open(t, operations)
  const refused = await call({ method: 'POST', path: '/v1/agents/waf/drain' })
  assert.equal(refused.status, 403)
  assert.match(refused.text, /x-weir-admin/)
  assert.deepEqual(done, [])
  const page = await call({
    method: 'POST',
    path: '/v1/agents/waf/drain',
    headers: { ...CHANGE, origin: 'https://evil.example' },
  })
  assert.equal(page.status, 403)
  assert.deepEqual(done, [])
})

test('a host name that is not an address is refused, so that DNS rebinding reads nothing', async (t) => {
  const { call } = await open(t, recordOperations().operations)
  assert.equal((await call({ path: '/v1/agents', headers: { host: 'evil.example:9901' } })).status, 403)
  for (const host of ['localhost', '127.0.0.1:9901', '[::1]:9901'])
    assert.equal((await call({ path: '/v1/agents', headers: { host } })).status, 200, host)
})

test('every change is audited with its agent, a refused one is not', async (t) => {
  const { operations, done } = recordOperations()
  const { call } = await open(t, operations)
  const body = JSON.stringify({ agent: 'waf', reason: 'misbehaves' })
  assert.equal((await call({ method: 'POST', path: '/v1/bans', headers: CHANGE, body })).status, 201)
  assert.deepEqual(JSON.parse((await call({ path: '/v1/bans' })).text)[0].reason, 'misbehaves')
  assert.equal((await call({ method: 'DELETE', path: '/v1/bans/waf', headers: CHANGE })).status, 200)
  assert.equal((await call({ method: 'POST', path: '/v1/agents/waf/drain', headers: CHANGE })).status, 202)
  assert.equal((await call({ method: 'DELETE', path: '/v1/agents/waf/drain', headers: CHANGE })).status, 200)
  assert.equal((await call({ method: 'POST', path: '/v1/agents/wav/drain', headers: CHANGE })).status, 404)
  assert.deepEqual(done, [
    'audit ban waf',
    'unban waf by 127.0.0.1: ',
    'audit unban waf',
    'drain waf',
    'audit drain waf',
    'undrain waf',
    'audit undrain waf',
  ])
})

test('a ban in force that could not be written is audited and says so, a refused one is not', async (t) => {
  const lines: unknown[] = []
  let code: 'STORAGE' | 'INVALID_ARGUMENT' = 'STORAGE'
  const { operations } = recordOperations({
    ban: () => Promise.reject(new WeirError(code, 'it was not written')),
    audit: (action, { agent, reason, isWritten }) => void lines.push({ action, agent, reason, isWritten }),
  })
  const { call } = await open(t, operations)
  const body = JSON.stringify({ agent: 'waf', reason: 'misbehaves' })
  assert.equal((await call({ method: 'POST', path: '/v1/bans', headers: CHANGE, body })).status, 503)
  code = 'INVALID_ARGUMENT'
  assert.equal((await call({ method: 'POST', path: '/v1/bans', headers: CHANGE, body })).status, 400)
  assert.deepEqual(lines, [{ action: 'ban', agent: 'waf', reason: 'misbehaves', isWritten: false }])
})

test('readiness names each check and fails with any of them; liveness does not', async (t) => {
  const readiness = () => [
    { name: 'listeners', isOk: true, detail: '1 open' },
    { name: 'agent waf', isOk: false, detail: '0 of 4 connections' },
  ]
  const { call } = await open(t, recordOperations({ readiness }).operations)
  const ready = await call({ path: '/readyz' })
  assert.equal(ready.status, 503)
  assert.match(ready.text, /\[\+\] listeners: 1 open\n\[-\] agent waf: 0 of 4 connections\nnot ready/)
  assert.equal((await call({ path: '/healthz' })).status, 200)
})

test('a wrong body, path or method is told apart', async (t) => {
  const { call } = await open(t, recordOperations().operations)
  const post = (body: string): Promise<HttpAnswer> =>
    call({ method: 'POST', path: '/v1/bans', headers: CHANGE, body })
  assert.equal((await post('{')).status, 400)
  assert.match((await post('{"agent":7}')).text, /agent: expected the name of an agent/)
  assert.match((await post('{"agent":"waf","durationMs":-1}')).text, /durationMs: expected/)
  assert.equal((await post(JSON.stringify({ agent: 'x'.repeat(70_000) }))).status, 413)
  assert.equal((await call({ path: '/v1/nothing' })).status, 404)
  assert.equal((await call({ path: '//[' })).status, 400)
  assert.match((await call({ method: 'DELETE', path: '/v1/bans', headers: CHANGE })).text, /takes GET, POST/)
  assert.equal((await call({ path: '/v1/limits?agent=wav' })).status, 404)
})

test('the API answers on a Unix socket too', async (t) => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'admin.sock')
  const { call } = await open(t, recordOperations().operations, { kind: 'unix', path })
  assert.equal((await call({ path: '/metrics' })).text, 'weir_up 1\n')
})

test('an address that is taken rejects', async (t) => {
  const { operations } = recordOperations()
  const { server } = await open(t, operations)
  await assert.rejects(listenAdmin({ kind: 'tcp', host: '127.0.0.1', port: server.port }, operations), {
    code: 'CONFLICT',
  })
})

test('who bans and who lifts may name themselves; a text of two lines or a ban of a century is refused', async (t) => {
  const { operations, done } = recordOperations()
  const { call } = await open(t, operations)
  const ban = (facts: object): Promise<HttpAnswer> =>
    call({
      method: 'POST',
      path: '/v1/bans',
      headers: CHANGE,
      body: JSON.stringify({ agent: 'waf', ...facts }),
    })
  assert.equal(JSON.parse((await ban({ author: 'ada' })).text).author, 'ada')
  assert.equal(JSON.parse((await ban({ author: '' })).text).author, '127.0.0.1', 'nobody was named')
  const body = JSON.stringify({ author: 'bob', reason: 'mended' })
  const headers = { ...CHANGE, 'content-length': String(body.length) }
  await call({ method: 'DELETE', path: '/v1/bans/gone', headers, body })
  assert.ok(done.includes('unban gone by bob: mended'), done.join())
  assert.match((await ban({ reason: 'one\ntwo' })).text, /reason: expected a text .* on one line/)
  assert.match((await ban({ author: 'x'.repeat(129) })).text, /author: .*at most 128 characters/)
  assert.match((await ban({ durationMs: 4e12 })).text, /durationMs: .*at most 315576000000/)
  assert.match(
    (await ban({ until: 'ever' })).text,
    /until: unknown; a ban has agent, reason, author, durationMs/,
  )
})

test('pages have bounds, and keys in full leave an audit line', async (t) => {
  const { operations, done } = recordOperations()
  const { call } = await open(t, operations)
  assert.equal((await call({ path: '/v1/agents/waf/sessions' })).status, 200)
  assert.equal((await call({ path: '/v1/agents/waf/sessions?limit=7&offset=14&reveal=true' })).status, 200)
  assert.deepEqual(done, ['page 0 50 false', 'audit reveal-sessions waf', 'page 14 7 true'])
  for (const query of ['limit=0', 'limit=1001', 'limit=two', 'offset=-1', 'offset=100001', 'limit=']) {
    const refused = await call({ path: `/v1/agents/waf/sessions?${query}` })
    assert.equal(refused.status, 400, query)
    assert.match(refused.text, /expected a whole number from \d+ to \d+, got/)
  }
})

test('a key in a path may hold anything', async (t) => {
  const { operations, done } = recordOperations()
  const { call } = await open(t, operations)
  const path = `/v1/agents/waf/sessions/${encodeURIComponent('a/b c%?')}`
  assert.equal((await call({ method: 'DELETE', path, headers: CHANGE })).status, 200)
  assert.deepEqual(done, ['clear a/b c%?', 'audit clear-session waf'])
})

test('every answer tells that it is of Weir, errors too', async (t) => {
  const { call } = await open(t, recordOperations().operations)
  for (const path of ['/v1/agents', '/nothing', '/healthz'])
    assert.equal((await call({ path })).headers['x-weir-admin'], '1', path)
})
