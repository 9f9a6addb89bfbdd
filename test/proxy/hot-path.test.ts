import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AgentEvent } from '../../src/core/event.ts'
import { seededRandom } from '../../src/core/random.ts'
import { plainAllow } from '../../src/core/reply.ts'
import { TimerWheel } from '../../src/core/timer-wheel.ts'
import { ConnectionPool } from '../../src/pool/connection-pool.ts'
import { poolSettings } from '../../src/pool/pool-options.ts'
import { AgentDispatcher } from '../../src/proxy/agent-dispatcher.ts'
import { AgentChain } from '../../src/proxy/chain.ts'
import type { PendingReply } from '../../src/transport/connection.ts'
import { bytesPerRound } from '../support/bytes-per-round.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { FakeConnection, settled } from '../support/fake-connection.ts'
import { requestHeaders } from '../support/sample-events.ts'
import { policy } from './harness.ts'

/**
 * Measured with Node 20: 1,464 bytes for a request of one event past one agent (scope, promise, run, draft, call,
 * verdict), 553 for each further agent. The smallest array takes 32 bytes more, the smallest closure 64. Who makes a record
 * larger raises the figure knowingly, by 8 bytes a field.
 */
const MAX_BYTES = 1490
const MAX_BYTES_PER_FURTHER_AGENT = 580

/** A connection that notes nothing: only what the path itself builds is counted. */
class LeanConnection extends FakeConnection {
  static waiting: PendingReply | undefined

  override send(_event: AgentEvent, pending: PendingReply): void {
    LeanConnection.waiting = pending
  }
}

async function dispatched(agents: number) {
  const clock = new FakeClock()
  const settings = poolSettings({ connections: 4, slowStartMs: 0 })
  const around = { clock, random: seededRandom(7), probe: {} }
  const dialer = { endpoint: 'lean', dial: async () => new LeanConnection() }
  const members = Array.from({ length: agents }, (_, n) => {
    const pool = new ConnectionPool({ agent: `a${n}`, settings, around, nextDialer: () => dialer })
    pool.start()
    return { policy: policy(`a${n}`, { events: new Set(['request-headers']) }), pool }
  })
  await settled()
  const wheel = new TimerWheel(clock)
  const dispatcher = new AgentDispatcher({ clock, wheel, probe: {}, limits: undefined })
  const chain = new AgentChain('all', members)
  const facts = { clientIp: '203.0.113.7' }
  const event = requestHeaders('any')
  const reply = plainAllow('any')
  return (rounds: number): void => {
    for (let n = 0; n < rounds; n++) {
      const scope = dispatcher.open(chain, facts)
      void dispatcher.dispatch(event, scope)
      for (let agent = 0; agent < agents; agent++) LeanConnection.waiting!.onReply(reply)
      dispatcher.close(scope, undefined)
    }
  }
}

test('an event past an agent builds its records and nothing else, and so does each further agent', async () => {
  const one = bytesPerRound(await dispatched(1), MAX_BYTES)
  assert.ok(one <= MAX_BYTES, `${one} bytes per event`)
  const bound = MAX_BYTES + MAX_BYTES_PER_FURTHER_AGENT
  const two = bytesPerRound(await dispatched(2), bound)
  assert.ok(two <= bound, `${two} bytes per event past two agents`)
})
