import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { createServer as createSocketServer } from 'node:net'
import { test } from 'node:test'
import type { AgentView, StatusView } from '../../src/admin/views.ts'
import { Place } from '../daemon/harness.ts'
import { eventually } from '../support/eventually.ts'
import { commandsOf, finished, parsed } from './support.ts'

test('an agent is only called ready when an event would reach it, and the reason is given', async (t) => {
  const place = await Place.make(t)
  await place.agent('waf')
  await place.agent('slow', { onRequestHeaders: () => new Promise(() => undefined) })
  await place.configure(
    `{ waf: { endpoint: "unix:./waf.sock" },
       slow: { endpoint: "unix:./slow.sock", timeoutMs: 20, onFailure: open, breaker: { consecutiveFailures: 2, openMs: 60000 } },
       gone: { endpoint: "unix:./gone.sock", onFailure: open } }`,
    'slow',
  )
  const daemon = await place.serve()
  const weir = commandsOf(place)
  const stateOf = async (name: string): Promise<AgentView> =>
    parsed<AgentView>(await weir('agents', name, '--json'))
  await eventually('waf is there', async () => (await stateOf('waf')).state === 'ready', 15_000)
  assert.deepEqual([(await weir('agents', 'waf')).code, (await weir('agents', 'gone')).code], [0, 1])

  await weir('ban', 'waf', '--reason', 'INC-4711', '--author', 'ada')
  const banned = await stateOf('waf')
  assert.deepEqual([banned.state, banned.reason], ['banned', 'by ada until unban: INC-4711'])
  for (let event = 0; event < 3; event++) await daemon.get('/')
  const broken = await stateOf('slow')
  /* A pong of the agent lets single events try it again early. */
  assert.ok(broken.state === 'breaker-open' || broken.state === 'half-open', broken.state)
  assert.match(
    broken.reason,
    /^(the agent kept failing: |single events try the agent after )\d+ errors, \d+ of them time/,
  )
  const { bypasses } = broken
  assert.ok((bypasses['timeout'] ?? 0) >= 2, JSON.stringify(bypasses))
  assert.equal((bypasses['timeout'] ?? 0) + (bypasses['breaker-open'] ?? 0), 3, 'each event was let pass')
  assert.match((await weir('agents', 'slow')).text, /\nbypassed +\d timeout/)
  const gone = await stateOf('gone')
  assert.equal(gone.state, 'unavailable')
  assert.match(gone.reason, /^no connection: unix:\S+gone\.sock cannot be reached: .*ENOENT/)

  const status = await weir('status')
  assert.equal(
    status.code,
    0,
    'those that fail open, and those that an operator took out, keep nobody from serving',
  )
  assert.match(status.text, /\nagents +0 of 3 ready\n +waf banned: by ada/)
  const { agents, troubles } = parsed<StatusView>(await weir('status', '--json'))
  assert.deepEqual(agents, { total: 3, ready: 0 })
  assert.deepEqual(
    troubles.map(({ agent, state }) => `${agent} ${state}`),
    ['waf banned', `slow ${troubles[1]?.state}`, 'gone unavailable'],
  )
  assert.equal((await weir('unban', 'waf')).code, 0)
  assert.equal((await stateOf('waf')).state, 'ready')
  assert.match((await weir('agents', 'waf')).text, /^agent +waf\nstate +ready\n/)
})

test('reload says what is in force, what waits for a restart, and what is wrong', async (t) => {
  const place = await Place.make(t)
  await place.configure('{}', '')
  await place.serve()
  const weir = commandsOf(place)
  assert.match((await weir('reload')).text, /weir\.yaml is in force\n$/)

  await place.configure('{}', '', 'maxOpenRequests: 77')
  const pending = await weir('reload')
  assert.equal(pending.code, 0)
  assert.match(
    pending.text,
    /is in force, but for maxOpenRequests: changes of these take effect at the next start/,
  )
  await weir('reload')
  assert.match((await weir('status')).text, /\nrestart +needed for changes of maxOpenRequests\n/, 'still')

  await place.configure('{ waf: { endpoint: "unix:./waf.sock", timeoutMs: -1 } }', 'waf')
  const refused = await weir('reload')
  assert.equal(refused.code, 2, refused.text)
  assert.match(refused.text, /the old one stays in force:\n\S*weir\.yaml:\d+:\d+: agents\.waf\.timeoutMs: /)
  const json = await weir('reload', '--json')
  assert.equal(json.code, 2)
  assert.equal(parsed<{ error: { code: string } }>(json).error.code, 'INVALID_ARGUMENT')
  assert.match((await weir('status')).text, /\nrefused +\S*weir\.yaml:\d+:\d+: agents\.waf\.timeoutMs/)
})

test('whoever answers in the place of Weir is called that, with the exit code of no daemon', async (t) => {
  const place = await Place.make(t)
  const json = createServer((_, response) => response.end('{"ok":true}'))
  const chatter = createSocketServer((socket) => socket.end('+PONG\r\n'))
  for (const server of [json, chatter])
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    json.close()
    chatter.close()
  })
  for (const server of [json, chatter]) {
    const bound = server.address()
    const port = typeof bound === 'object' && bound !== null ? bound.port : 0
    for (const command of ['status', 'agents', 'limits', 'sessions', 'pushes', 'bans']) {
      const answer = await finished(place.weir(command, '--admin', `127.0.0.1:${port}`))
      assert.equal(answer.code, 3, answer.text)
      assert.match(answer.text, /^weir: no Weir answers at 127\.0\.0\.1:\d+, something else does/)
    }
  }
})

test('every command explains itself with an example', async (t) => {
  const place = await Place.make(t)
  const { text } = await finished(place.weir('--help'))
  const names = [...text.matchAll(/^ {2}(\w+) /gm)]
    .map(([, name]) => name ?? '')
    .filter((name) => name !== 'help')
  assert.ok(names.length >= 17, names.join())
  const lines = [
    ...names.map((name) => [name]),
    ['sessions', 'create'],
    ['sessions', 'clear'],
    ['config', 'show'],
  ]
  await Promise.all(
    lines.map(async (words) => {
      const help = await finished(place.weir(...words, '--help'))
      assert.equal(help.code, 0)
      assert.match(help.text, /\nExamples:\n {2}weir /, words.join(' '))
    }),
  )
})
