import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ConnectionView, SessionPageView, SessionsView, SessionView } from '../../src/admin/views.ts'
import { Place } from '../daemon/harness.ts'
import { commandsOf, parsed } from './support.ts'

const AGENTS = '{ waf: { endpoint: "unix:./waf.sock", connections: 3, sessions: { idleTtlMs: 60000 } } }'

test('sessions are counted, listed by page, looked up, moved and ended from the command line', async (t) => {
  const place = await Place.make(t)
  await place.agent('waf')
  await place.configure(AGENTS, 'waf', 'sessionKey: cookie:sid')
  const daemon = await place.serve('--wait-for-agents', '5000')
  const weir = commandsOf(place)
  assert.equal((await weir('sessions', 'waf')).text, 'waf has no sessions\n')
  for (let user = 1; user <= 5; user++) await daemon.get('/', { cookie: `sid=session-of-user-${user}` })

  assert.match((await weir('sessions')).text, /^AGENT .*\nwaf +5 +100000 +60 s\n$/)
  assert.deepEqual(parsed<SessionsView>(await weir('sessions', '--json')).total, 5)

  const page = parsed<SessionPageView>(await weir('sessions', 'waf', '--limit', '2', '--page', '2', '--json'))
  assert.deepEqual([page.total, page.offset, page.sessions.length], [5, 2, 2])
  const last = await weir('sessions', 'waf', '--limit', '2', '--page', '3')
  assert.match(last.text, /^KEY +CONNECTION .*\nsess…#[0-9a-f]{8} .*\npage 3 of 3, 5 sessions\n$/)
  assert.equal((await weir('sessions', 'waf', '--page', '9')).text, 'no page 9: waf has 5 sessions\n')

  const hidden = await weir('sessions', 'waf', '--json')
  assert.ok(!hidden.text.includes('session-of-user'), 'a cookie is a credential')
  const shown = parsed<SessionPageView>(await weir('sessions', 'waf', '--reveal', '--json'))
  assert.deepEqual(
    shown.sessions.map(({ key }) => key).sort(),
    [1, 2, 3, 4, 5].map((user) => `session-of-user-${user}`),
  )
  assert.match(daemon.process.output(), /"reveal-sessions"/)

  const one = ['sessions', 'waf', '--key', 'session-of-user-3', '--json']
  const before = parsed<SessionView>(await weir(...one))
  const after = parsed<SessionView>(await weir(...one))
  assert.ok(after.idleMs > before.idleMs, 'looking does not prolong it')
  assert.equal((await weir('sessions', 'waf', '--key', 'nobody')).code, 1)

  const connections = parsed<ConnectionView[]>(await weir('connections', 'waf', '--json'))
  const other = connections.find(({ id }) => id !== before.connection)?.id ?? 0
  const moved = await weir('sessions', 'create', 'waf', 'session-of-user-3', '--connection', String(other))
  assert.equal(moved.code, 0, moved.text)
  assert.equal(parsed<SessionView>(await weir(...one)).connection, other)
  await daemon.get('/', { cookie: 'sid=session-of-user-3' })
  assert.equal(parsed<SessionView>(await weir(...one)).connection, other, 'its requests go there')
  assert.match(
    (await weir('sessions', 'create', 'waf', 'x', '--connection', '999')).text,
    /connection: agent waf has no ready connection 999; it has \d+, \d+, \d+/,
  )

  assert.equal(
    (await weir('sessions', 'clear', 'waf', 'session-of-user-3')).text,
    '1 sessions of waf ended\n',
  )
  assert.equal((await weir(...one)).code, 1)
  assert.equal((await weir('sessions', 'clear', 'waf', 'session-of-user-3')).code, 1, 'it is gone already')
  assert.equal((await weir('sessions', 'clear', 'waf')).code, 2, 'all of them must be said')
  assert.equal((await weir('sessions', 'clear', 'waf', '--all')).text, '4 sessions of waf ended\n')
  assert.equal((await weir('sessions', 'waf')).text, 'waf has no sessions\n')
})

test('an agent that keeps no sessions says so, an unknown one is not found', async (t) => {
  const place = await Place.make(t)
  await place.configure('{ waf: { endpoint: "unix:./waf.sock", balance: ring-hash } }', 'waf')
  await place.serve()
  const weir = commandsOf(place)
  assert.match((await weir('sessions', 'waf')).text, /agent waf keeps no sessions: with balance: ring-hash/)
  assert.equal((await weir('sessions')).text, 'no agent keeps sessions\n')
  const unknown = await weir('sessions', 'wav')
  assert.deepEqual([unknown.code, unknown.text], [1, 'weir: no agent is named "wav"\n'])
  assert.equal((await weir('sessions', 'create', 'waf', 'k')).code, 2)
})
