import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BodyChunkEvent, EventKind } from '../../src/core/event.ts'
import { TimerWheel } from '../../src/core/timer-wheel.ts'
import { AgentDispatcher } from '../../src/proxy/agent-dispatcher.ts'
import { AgentChain } from '../../src/proxy/chain.ts'
import { startedPool } from '../support/pool-fixture.ts'
import { Bench, chunkEvent, eventOf, policy } from './harness.ts'

for (const kind of ['request-body-chunk', 'response-body-chunk'] as const)
  test(`all pieces of a body go to one connection, though the agent gets nothing but ${kind}`, async () => {
    const { pool, clock, dialer } = await startedPool({ connections: 4 })
    const wheel = new TimerWheel(clock)
    const dispatcher = new AgentDispatcher({ clock, wheel, probe: {}, limits: undefined })
    const chain = new AgentChain('route', [{ policy: policy('waf', { events: new Set([kind]) }), pool }])
    const scope = dispatcher.open(chain, { clientIp: '203.0.113.7' })
    const ask = (n: number) =>
      dispatcher.dispatch({ ...(chunkEvent(scope, n, n === 3) as BodyChunkEvent), kind }, scope)
    const ahead = [ask(0), ask(1)]
    const [home] = dialer.alive.filter(({ sent }) => sent.length > 0)
    while (home!.pendingCount > 0) home!.reply()
    await Promise.all(ahead)
    for (const n of [2, 3]) {
      const verdict = ask(n)
      home!.reply()
      await verdict
    }
    assert.deepEqual(
      home!.sent.map((event) => (event as BodyChunkEvent).chunkIndex),
      [0, 1, 2, 3],
    )
    assert.equal(dialer.alive.filter(({ sent }) => sent.length > 0).length, 1)
    dispatcher.close(scope, undefined)
    assert.equal(pool.snapshot().inFlight, 0)
  })

test('an agent that may get several events of a request has a pin of it, any other has none', async () => {
  const kinds: readonly (readonly [EventKind, number])[] = [
    ['request-headers', 0],
    ['response-headers', 0],
    ['guardrail-inspect', 0],
    ['request-body-chunk', 1],
    ['response-body-chunk', 1],
    ['websocket-frame', 1],
  ]
  for (const [kind, pins] of kinds) {
    const bench = new Bench()
    const scope = bench.open([bench.agent('a', { events: new Set([kind]) })])
    const verdict = bench.dispatcher.dispatch(eventOf(kind, scope), scope)
    bench.pool('a').reply()
    await verdict
    assert.equal(bench.pool('a').pins, pins, kind)
    bench.dispatcher.close(scope, undefined)
    assert.equal(bench.pool('a').pins, 0, kind)
  }
})
