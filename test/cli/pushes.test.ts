import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PushesView, PushView } from '../../src/admin/views.ts'
import { dialIn } from '../../src/sdk/dial-in.ts'
import { Place } from '../daemon/harness.ts'
import { eventually } from '../support/eventually.ts'
import { commandsOf, parsed } from './support.ts'

test('a push reaches every connection of the agents that can be told, and others are named', async (t) => {
  const place = await Place.make(t)
  const told: unknown[] = []
  await place.agent('waf', { onConfigure: (config) => void told.push(config) })
  await place.agent('deaf')
  await place.agent('plain', { onConfigure: () => undefined })
  await place.configure(
    `{ waf: { endpoint: "unix:./waf.sock", connections: 2, config: { level: 3 } },
       deaf: { endpoint: "unix:./deaf.sock", connections: 1, config: { level: 4 } },
       plain: { endpoint: "unix:./plain.sock" } }`,
    'waf, deaf, plain',
  )
  await place.serve('--wait-for-agents', '5000')
  const weir = commandsOf(place)
  assert.equal((await weir('pushes')).text, 'no pushes so far\n')
  const atStart = told.length

  const all = await weir('push', '--json')
  assert.equal(all.code, 0, all.text)
  const { pushes, skipped } = parsed<PushesView>(all)
  assert.deepEqual(
    pushes.map(({ agent, id, state, connections }) => [agent, id, state, connections.length]),
    [['waf', 'push-1', 'acknowledged', 2]],
  )
  assert.equal(told.length, atStart, 'what the agent has already is acknowledged, not handed over again')
  assert.deepEqual(
    skipped.map(({ agent }) => agent),
    ['deaf', 'plain'],
  )
  assert.match(skipped[0]?.reason ?? '', /cannot be told while it runs; weir push deaf replaces/)
  assert.match(skipped[1]?.reason ?? '', /set agents\.plain\.config and reload/)

  const replaced = await weir('push', 'deaf')
  assert.equal(replaced.code, 0, replaced.text)
  assert.match(replaced.text, /\ndeaf +push-2 +\S+ +\S+ +replaced +1 replaced\n$/)
  const refused = await weir('push', 'plain')
  assert.equal(refused.code, 1)
  assert.match(refused.text, /agent plain: it has no configuration of its own/)
  assert.equal((await weir('push', 'wav')).code, 1)
  assert.deepEqual(
    parsed<PushView[]>(await weir('pushes', '--json')).map(({ agent }) => agent),
    ['deaf', 'waf'],
    'the newest first',
  )
})

test('no two pushes of a process have the same id, also after a reload that replaces their pools', async (t) => {
  const place = await Place.make(t)
  const names = ['waf', 'bots']
  for (const name of names) await place.agent(name, { onConfigure: () => undefined })
  const agents = (more: string): string =>
    `{ ${names.map((name) => `${name}: { endpoint: "unix:./${name}.sock", connections: 1, config: {}${more} }`).join()} }`
  await place.configure(agents(''), names.join())
  const daemon = await place.serve('--wait-for-agents', '5000')
  const weir = commandsOf(place)
  const ids: string[] = []
  const push = async (): Promise<void> => {
    const { pushes } = parsed<PushesView>(await weir('push', '--json'))
    ids.push(...pushes.map(({ id }) => id))
  }
  await push()
  await place.configure(agents(', slowStartMs: 1'), names.join())
  await daemon.process.said(/configuration reloaded/)
  await push()
  assert.equal(ids.length, 4)
  assert.equal(new Set(ids).size, 4, ids.join())
})

test('a refused push exits 1 and keeps the words of the agent', async (t) => {
  const place = await Place.make(t)
  let isAgreeable = true
  await place.agent('waf', {
    onConfigure: () => {
      if (!isAgreeable) throw new Error('level 3 is out of range')
    },
  })
  const agents = (level: number): string =>
    `{ waf: { endpoint: "unix:./waf.sock", connections: 1, config: { level: ${level} } } }`
  await place.configure(agents(2), 'waf')
  const daemon = await place.serve('--wait-for-agents', '5000')
  const weir = commandsOf(place)
  isAgreeable = false
  await place.configure(agents(3), 'waf')
  const reloaded = await weir('reload')
  assert.equal(reloaded.code, 1, reloaded.text)
  assert.match(
    reloaded.text,
    /is in force\nagent waf goes on with its old configuration, the new one is refused: .*level 3 is out of range/,
  )
  await daemon.process.said(/agent waf goes on with its old configuration: .*level 3 is out of range/)
  const trouble = /waf +ready.*its configuration is refused: .*level 3 is out of range/
  assert.match(
    (await weir('status')).text,
    /1 of 1 ready\n +waf ready: its configuration is refused: .*out of range/,
  )
  assert.match((await weir('agents')).text, trouble)
  assert.match((await weir('agents', 'waf')).text, /\nconfig +refused: .*level 3 is out of range/)
  const refused = await weir('push', 'waf')
  assert.equal(refused.code, 1, refused.text)
  assert.match(refused.text, /\nwaf +push-\d+ +\S+ +\S+ +refused +1 refused +.*level 3 is out of range/)
  assert.match((await weir('pushes', 'waf', '--limit', '1')).text, /refused +1 refused +.*out of range/)
  assert.equal((await weir('push', 'waf', '--no-wait')).code, 0)

  isAgreeable = true
  await place.configure(agents(4), 'waf')
  const taken = await weir('reload')
  assert.equal(taken.code, 0, taken.text)
  assert.doesNotMatch(taken.text, /goes on with/)
  assert.doesNotMatch((await weir('agents', 'waf')).text, /\nconfig /)
})

test('an agent that dials in and refuses its configuration is not said to have stayed away', async (t) => {
  const place = await Place.make(t)
  await place.configure('{ pii: { reverse: { allowAnonymous: true }, config: { level: 3 } } }', 'pii')
  await place.serve()
  const agent = dialIn(
    `unix:${place.socket('agents')}`,
    {
      name: 'pii',
      onConfigure: () => {
        throw new Error('level 3 is out of range')
      },
    },
    { probe: {} },
  )
  t.after(() => agent.close({ timeoutMs: 0 }))
  const weir = commandsOf(place)
  await eventually('the refusal is shown', async () =>
    /dialed in and did not take its configuration: .*level 3 is out of range/.test(
      (await weir('agents', 'pii')).text,
    ),
  )
})
