import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { WeirError } from '../../src/core/errors.ts'
import { eventually } from '../support/eventually.ts'
import { ask } from './support/observed.ts'
import { requestHeaders } from './support/sample-events.ts'
import { ScriptedAgent } from './support/scripted-agent.ts'
import { TRANSPORTS } from './support/transports.ts'

/** Sockets, servers and timers that the process holds now; not what is over by the next turn anyway. */
function held(): string {
  const counts: Record<string, number> = {}
  for (const resource of process.getActiveResourcesInfo())
    if (/Wrap|Timeout/.test(resource)) counts[resource] = (counts[resource] ?? 0) + 1
  return JSON.stringify(
    counts,
    Object.keys(counts).sort((a, b) => a.localeCompare(b)),
  )
}

for (const of of TRANSPORTS) {
  describe(`over ${of.name}`, () => {
    test('connections that were closed, cut off or lost leave nothing behind', async (t) => {
      const agent = new ScriptedAgent()
      agent.answer = () => {}
      const rig = await of.rig(t, agent)
      const warm = await rig.connect()
      await warm.close()
      await eventually('the first link is gone', () => agent.closed.length === 1)
      await new Promise((resolve) => setTimeout(resolve, 20))
      const before = held()
      for (let round = 0; round < 6; round++) {
        const connections = await Promise.all([rig.connect(), rig.connect(), rig.connect()])
        for (const connection of connections) ask(connection, requestHeaders('c-1'))
        await connections[0]!.close()
        connections[1]!.destroy(new WeirError('CANCELLED', 'enough'))
        for (const link of agent.links) link.destroy(new WeirError('CANCELLED', 'enough'))
        await Promise.all(connections.map((connection) => connection.close()))
      }
      let after = ''
      await eventually(
        'everything is released',
        () => {
          after = held()
          return after === before
        },
        5000,
      ).catch(() => assert.equal(after, before))
      assert.equal(agent.closed.length, agent.links.length)
    })
  })
}
