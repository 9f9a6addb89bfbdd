import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hints, NotingWaiter, type PoolFixture, startedPool } from '../support/pool-fixture.ts'

/** What must keep a second piece of a body from going before the first is answered. */
const OBSTACLES: Readonly<Record<string, (fixture: PoolFixture) => void>> = {
  'callers wait': ({ pool }) => {
    pool.wait(new NotingWaiter({ pinnedTo: -1 }))
  },
  'the connection is full': ({ lease }) => {
    for (let n = 0; n < 4; n++) lease()
  },
  'its socket is full': ({ dialer }) => dialer.alive[0]!.transitionTo('unwritable'),
  'the agent paused the connection': ({ dialer }) => dialer.alive[0]!.flow('pause'),
  'the agent paused this body': ({ dialer }) => dialer.alive[0]!.flow('pause', 'a'),
  'the byte window is used up': ({ dialer, lease }) => {
    dialer.alive[0]!.flow('update-capacity', undefined, 10)
    lease({ correlationId: 'b', isBody: true, bodyBytes: 10 })
  },
  'the breaker is open': ({ lease }) => {
    for (let n = 0; n < 4; n++) lease().release('timeout', 0)
  },
  'the breaker tries': ({ lease, clock, pool }) => {
    for (let n = 0; n < 4; n++) lease().release('timeout', 0)
    clock.advance(1001)
    const probe = pool.lease(hints())
    assert.ok(typeof probe !== 'string')
    assert.equal(pool.snapshot().breaker, 'half-open')
  },
}

async function fixtureWithPiece() {
  const fixture = await startedPool({
    connections: 1,
    maxConcurrentPerConnection: 5,
    breaker: { consecutiveFailures: 4, openMs: 1000, leastOpenMs: 1000 },
    health: { consecutiveFailures: Number.POSITIVE_INFINITY, ejectBelow: -1, degradeBelow: -1 },
  })
  return { fixture, live: fixture.lease({ correlationId: 'a', isBody: true, bodyBytes: 1 }) }
}

test('a piece of a body goes ahead of the verdict before it when nothing is in its way', async () => {
  const { fixture, live } = await fixtureWithPiece()
  assert.equal(live.takesAhead('a'), true)
  fixture.dialer.alive[0]!.flow('pause', 'b')
  assert.equal(live.takesAhead('a'), true)
})

for (const [obstacle, arise] of Object.entries(OBSTACLES))
  test(`no piece of a body goes ahead when ${obstacle}`, async () => {
    const { fixture, live } = await fixtureWithPiece()
    arise(fixture)
    assert.equal(live.takesAhead('a'), false)
  })
