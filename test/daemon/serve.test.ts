import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { allow, block } from '../../src/sdk/answer.ts'
import { dialIn } from '../../src/sdk/dial-in.ts'
import { eventually } from '../support/eventually.ts'
import { Place } from './harness.ts'

const DENY_ALL = { onRequestHeaders: () => block(403, 'denied by the agent') }

test('a request is decided by the agents of its route, and logged with its decision', async (t) => {
  const place = await Place.make(t)
  await place.agent('waf', {
    onRequestHeaders: (event) =>
      event.uri.includes('evil') ? block(403) : allow().setRequestHeader('x-seen', '1'),
  })
  await place.configure('{ waf: { endpoint: "unix:./waf.sock" } }', 'waf')
  const daemon = await place.serve('--wait-for-agents', '5000')
  assert.equal((await daemon.get('/good')).status, 200)
  assert.equal((await daemon.get('/evil?token=secret')).status, 403)
  await daemon.process.said(
    /"event":"request".*"path":"\/evil","status":403,.*"decision":"block","decidedBy":"waf"/,
  )
  assert.ok(!daemon.process.output().includes('secret'))
})

test('listeners come up although an agent is down; it is denied by its failure mode and dialed until it comes', async (t) => {
  const place = await Place.make(t)
  await place.configure('{ waf: { endpoint: "unix:./waf.sock" } }', 'waf')
  const daemon = await place.serve()
  assert.equal((await daemon.get('/')).status, 503)
  assert.equal((await daemon.admin('/healthz')).status, 200)
  const ready = await daemon.admin('/readyz')
  assert.equal(ready.status, 503)
  assert.match(ready.text, /\[-\] agent waf: unavailable/)
  await place.agent('waf')
  await daemon.untilReady()
  assert.equal((await daemon.get('/')).status, 200)
})

test('a bypass of an agent that fails open is visible in answer, log and metrics', async (t) => {
  const place = await Place.make(t)
  await place.configure('{ waf: { endpoint: "unix:./waf.sock", onFailure: open } }', 'waf')
  const daemon = await place.serve()
  assert.equal((await daemon.get('/')).status, 200)
  await daemon.process.said(/"bypassed":\["waf/)
  const metrics = await daemon.admin('/metrics')
  assert.match(
    metrics.text,
    /weir_bypass_total\{agent="waf",phase="request-headers",reason="unavailable"\} 1/,
  )
})

test('SIGTERM finishes what is in flight, refuses what is new, removes the sockets and exits 0', async (t) => {
  const place = await Place.make(t)
  await place.agent('waf')
  await place.configure('{ waf: { endpoint: "unix:./waf.sock" } }', 'waf')
  const daemon = await place.serve('--wait-for-agents', '5000')
  const slow = daemon.get('/?delay=700')
  await eventually('the request is open', async () => {
    const status = JSON.parse((await daemon.admin('/v1/status')).text) as { openRequests: number }
    return status.openRequests === 1
  })
  daemon.process.child.kill('SIGTERM')
  await daemon.process.said(/"event":"draining"/)
  assert.equal((await daemon.admin('/readyz')).status, 503)
  await assert.rejects(daemon.get('/'), { code: 'ECONNREFUSED' })
  const answer = await slow
  assert.equal(answer.text, 'upstream')
  assert.equal(await daemon.process.ended(), 0)
  assert.ok(!existsSync(place.socket('admin')) && !existsSync(place.socket('agents')))
})

test('a second signal ends the process at once, and leaves no socket file', async (t) => {
  const place = await Place.make(t)
  await place.configure('{}', '')
  const daemon = await place.serve()
  const slow = daemon.get('/?delay=4000').catch(() => undefined)
  await eventually('the request is open', async () =>
    (await daemon.admin('/v1/status')).text.includes('"openRequests":1'),
  )
  daemon.process.child.kill('SIGINT')
  await daemon.process.said(/"event":"draining"/)
  daemon.process.child.kill('SIGINT')
  assert.equal(await daemon.process.ended(2000), 130)
  const left = ['admin', 'agents'].filter((name) => existsSync(place.socket(name)))
  assert.deepEqual(left, [], 'socket files that are left')
  await slow
})

test('a taken port is one line with its option and exit code 1', async (t) => {
  const place = await Place.make(t)
  await place.configure('{}', '')
  const first = await place.serve()
  await writeFile(
    place.file,
    `
listen: { http: "127.0.0.1:${first.port}" }
routes: [{ match: { path: /* }, upstream: "http://127.0.0.1:1", agents: [] }]
storage: { path: ./other.db }
`,
  )
  const second = place.weir('serve', '-c', place.file)
  assert.equal(await second.ended(), 1)
  assert.equal(
    second.output(),
    `weir: listen.http: 127.0.0.1:${first.port} is in use; stop what listens there or change listen.http\n`,
  )
})

test('a second instance on the same admin socket is refused and does not disturb the first', async (t) => {
  const place = await Place.make(t)
  await place.configure('{}', '')
  const first = await place.serve()
  const second = place.weir('serve', '-c', place.file)
  assert.equal(await second.ended(), 1)
  assert.match(second.output(), /^weir: listen\.admin: unix:\S+admin\.sock is in use/)
  assert.equal((await first.admin('/healthz')).status, 200)
})

test('a wrong configuration does not start: every mistake with its place, exit code 2', async (t) => {
  const place = await Place.make(t)
  await place.configure('{ waf: { endpoint: "unix:./waf.sock", timeoutMs: 0, onFailur: open } }', 'waff')
  const daemon = place.weir('serve', '-c', place.file)
  assert.equal(await daemon.ended(), 2)
  assert.match(
    daemon.output(),
    /weir\.yaml:6:\d+: agents\.waf\.timeoutMs: expected a number of milliseconds above 0, at most 2147483647, got 0/,
  )
  assert.match(daemon.output(), /agents\.waf\.onFailur: unknown option; did you mean onFailure\?/)
})

test('an agent that dials in needs the token of its id; a wrong one gets nothing and is logged', async (t) => {
  const place = await Place.make(t)
  const hash = createHash('sha256').update('right').digest('hex')
  await place.configure(`{ pii: { reverse: { tokenSha256: ${hash} } } }`, 'pii')
  const daemon = await place.serve()
  const dial = (id: string, token: string) => {
    const agent = dialIn(
      `unix:${place.socket('agents')}`,
      { name: 'pii', id, ...DENY_ALL },
      { token, probe: {} },
    )
    t.after(() => agent.close())
  }
  dial('pii', 'wrong')
  await daemon.process.said(/an agent that dialed in was refused: wrong token/)
  dial('other', 'right')
  await daemon.process.said(/an agent that dialed in was refused: unknown id/)
  assert.equal((await daemon.get('/')).status, 503)
  dial('pii', 'right')
  await daemon.untilReady()
  assert.equal((await daemon.get('/')).text, 'denied by the agent')
})

test('a newer run of an instance that dials in takes the place of the older one', async (t) => {
  const place = await Place.make(t)
  const hash = createHash('sha256').update('right').digest('hex')
  await place.configure(`{ pii: { reverse: { tokenSha256: ${hash}, maxConnections: 1 } } }`, 'pii')
  const daemon = await place.serve()
  const run = (id: string) => {
    const agent = dialIn(
      `unix:${place.socket('agents')}`,
      { name: 'pii', onRequestHeaders: () => allow().setResponseHeader('x-run', id) },
      { token: 'right', instance: 'pod-1', probe: {} },
    )
    t.after(() => agent.close())
  }
  run('first')
  await daemon.untilReady()
  assert.equal((await daemon.get('/')).headers['x-run'], 'first')
  run('second')
  await eventually('the newer run answers', async () => (await daemon.get('/')).headers['x-run'] === 'second')
  assert.doesNotMatch(daemon.process.output(), /refused/)
})

test('a ban is on disk when it is answered: it holds after kill -9', async (t) => {
  const place = await Place.make(t)
  await place.agent('waf')
  await place.configure('{ waf: { endpoint: "unix:./waf.sock" } }', 'waf')
  const first = await place.serve('--wait-for-agents', '5000')
  assert.equal((await first.admin('/v1/bans', 'POST', { agent: 'waf', reason: 'test' })).status, 201)
  first.process.child.kill('SIGKILL')
  await first.process.ended()
  const second = await place.serve('--wait-for-agents', '5000')
  assert.equal((await second.get('/')).status, 403)
  assert.equal((await second.admin('/v1/bans/waf', 'DELETE')).status, 200)
  assert.equal((await second.get('/')).status, 200)
})

test('a rate limit denies with 429 and says when to come back', async (t) => {
  const place = await Place.make(t)
  await place.agent('waf')
  await place.configure(
    '{ waf: { endpoint: "unix:./waf.sock", limit: { ratePerSecond: 0.1, burst: 2 } } }',
    'waf',
  )
  const daemon = await place.serve('--wait-for-agents', '5000')
  assert.equal((await daemon.get('/')).status, 200)
  assert.equal((await daemon.get('/')).status, 200)
  const denied = await daemon.get('/')
  assert.equal(denied.status, 429)
  assert.ok(Number(denied.headers['retry-after']) >= 1)
  const metrics = (await daemon.admin('/metrics')).text
  assert.match(metrics, /^weir_limit_denials_total\{reason="rate-limited"\} 1$/m)
})

test('a drained agent gets nothing until it is put back', async (t) => {
  const place = await Place.make(t)
  await place.agent('waf')
  await place.configure('{ waf: { endpoint: "unix:./waf.sock" } }', 'waf')
  const daemon = await place.serve('--wait-for-agents', '5000')
  assert.equal((await daemon.admin('/v1/agents/waf/drain', 'POST')).status, 202)
  assert.equal((await daemon.get('/')).status, 503)
  assert.equal((await daemon.admin('/v1/agents/waf/drain', 'DELETE')).status, 200)
  await daemon.untilReady()
  assert.equal((await daemon.get('/')).status, 200)
})
