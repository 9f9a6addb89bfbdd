import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { listenUds } from '../../src/transport/uds/uds-listener.ts'
import { ScriptedAgent } from '../conformance/support/scripted-agent.ts'
import { eventually } from '../support/eventually.ts'
import { Place } from './harness.ts'

const CONNECTIONS = 3

/** An agent that notes with which version each configuration came, and on how many links. */
class NotingAgent extends ScriptedAgent {
  readonly versions: (string | undefined)[] = []

  override async onConfigure(
    config: unknown,
    version: string | undefined,
    isInitial: boolean,
  ): Promise<void> {
    this.versions.push(version)
    await super.onConfigure(config, version, isInitial)
  }
}

async function served(t: TestContext, place: Place): Promise<NotingAgent> {
  const agent = new NotingAgent()
  const features = { ...agent.capabilities.features, configPush: true }
  agent.capabilities = { ...agent.capabilities, features }
  const listener = await listenUds(place.socket('waf'), agent.options)
  t.after(() => listener.close())
  return agent
}

const entry = (config: string): string =>
  `{ waf: { endpoint: "unix:./waf.sock", connections: ${CONNECTIONS}, config: ${config} } }`

test('each connection gets the configuration of its agent once, and its version names the content', async (t) => {
  const place = await Place.make(t)
  const agent = await served(t, place)
  await place.configure(entry('{ level: 2, rules: [a, b] }'), 'waf')
  const daemon = await place.serve()
  await daemon.untilReady()
  await eventually('every connection is told', () => agent.versions.length === CONNECTIONS)
  const [first] = agent.versions
  assert.match(String(first), /^[0-9a-f]{16}$/)
  assert.deepEqual(new Set(agent.versions), new Set([first]))
  assert.deepEqual(agent.configurations[0], { config: { level: 2, rules: ['a', 'b'] }, isInitial: true })

  await place.configure(entry('{ rules: [a, b], level: 2 }'), 'waf')
  await daemon.process.said(/configuration reloaded/)
  await place.configure(entry('{ level: 3, rules: [a, b] }'), 'waf')
  await eventually('every connection is told the new one', () => agent.versions.length >= 2 * CONNECTIONS)
  const later = agent.versions.slice(CONNECTIONS)
  assert.equal(later.length, CONNECTIONS, 'equal content was not sent again')
  assert.equal(new Set(later).size, 1)
  assert.notEqual(later[0], first)
  assert.deepEqual(agent.configurations.at(-1), { config: { level: 3, rules: ['a', 'b'] }, isInitial: false })
})

test('a reload that an agent asks for happens, and what it has no say in is refused and logged', async (t) => {
  const place = await Place.make(t)
  const agent = await served(t, place)
  await place.configure(entry('{ level: 2 }'), 'waf')
  const daemon = await place.serve()
  await daemon.untilReady()
  const link = agent.links[0]!
  link.sendConfigUpdate({ requestId: 'u-1', timestampMs: 1, update: { type: 'request-reload' } })
  await daemon.process.said(/configuration reloaded: an agent asked for it/)
  const update = { type: 'list-update', listId: 'allowed', add: ['*'], remove: [] } as const
  link.sendConfigUpdate({ requestId: 'u-2', timestampMs: 1, update })
  await daemon.process.said(/tried to change a list and was refused/)
  assert.equal((await daemon.get('/')).status, 200)
})
