import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { STRATEGY_NAMES } from '../../../src/policy/picker.ts'
import type { LeaseOutcome } from '../../../src/pool/lease.ts'
import type { PooledConnection } from '../../../src/pool/pooled-connection.ts'
import { hints, type PoolFixture, startedPool } from '../../support/pool-fixture.ts'

/* With health and breaker at work nobody can predict each answer; these rules hold for every one of them. */

interface Story extends PoolFixture {
  readonly leases: PooledConnection[]
}

type Chapter = (story: Story) => void

function at<T>(list: readonly T[], index: number): T | undefined {
  return list.length === 0 ? undefined : list[index % list.length]
}

function leaseOne({ pool, dialer, leases }: Story): void {
  const { breaker } = pool.snapshot()
  const available = new Set(dialer.alive.filter(({ id }) => pool.find(id)?.isAvailable).map(({ id }) => id))
  const got = pool.lease(hints())
  if (typeof got === 'string') return
  assert.notEqual(breaker, 'open', 'leased through an open breaker')
  assert.ok(available.has(got.id), 'leased on a connection that was not available')
  leases.push(got)
}

const index = fc.nat({ max: 15 })
const chapter: fc.Arbitrary<Chapter> = fc.oneof(
  { weight: 8, arbitrary: fc.constant<Chapter>(leaseOne) },
  {
    weight: 8,
    arbitrary: fc
      .tuple(index, fc.constantFrom<LeaseOutcome>('replied', 'timeout', 'timeout', 'bad-reply', 'cancelled'))
      .map(
        ([n, how]): Chapter =>
          ({ leases }) => {
            const lease = at(leases, n)
            if (lease === undefined) return
            leases.splice(leases.indexOf(lease), 1)
            lease.release(how, 0)
          },
      ),
  },
  {
    weight: 1,
    arbitrary: index.map(
      (n): Chapter =>
        ({ dialer }) =>
          at(dialer.alive, n)?.transitionTo('closed'),
    ),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(
        index,
        fc.constantFrom('healthy' as const, 'degraded' as const, 'unhealthy' as const, 'draining' as const),
      )
      .map(
        ([n, state]): Chapter =>
          ({ dialer }) =>
            at(dialer.alive, n)?.health({ state }),
      ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(index, fc.constantFrom('pause' as const, 'resume' as const)).map(
      ([n, action]): Chapter =>
        ({ dialer }) =>
          at(dialer.alive, n)?.flow(action),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('succeed' as const, 'fail' as const).map(
      (answer): Chapter =>
        ({ dialer }) => {
          dialer.answer = answer
        },
    ),
  },
  {
    weight: 1,
    arbitrary: fc.boolean().map(
      (answers): Chapter =>
        ({ dialer }) => {
          for (const connection of dialer.alive) connection.answersPings = answers
        },
    ),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(100, 2000, 15_000).map(
      (ms): Chapter =>
        ({ clock, pool }) => {
          clock.advance(ms)
          pool.visit(clock.now())
        },
    ),
  },
)

/** The agent is well again and answers everything; a little traffic flows. */
async function livesOn(story: Story): Promise<void> {
  const { pool, dialer, leases, clock, pass } = story
  dialer.answer = 'succeed'
  for (const connection of dialer.alive) {
    connection.answersPings = true
    connection.flow('resume')
    connection.health({ state: 'healthy' })
  }
  for (const lease of leases.splice(0)) lease.release('cancelled', 0)
  for (let second = 0; second < 400; second++) {
    await pass(1000)
    pool.visit(clock.now())
    for (let n = 0; n < 8; n++) {
      const leased = pool.lease(hints({ sessionKey: `s-${second}-${n}` }))
      if (typeof leased !== 'string') leased.release('replied', 0)
    }
  }
}

test('whatever happened, an agent that is well again is used again, at full width', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...STRATEGY_NAMES),
      fc.array(chapter, { maxLength: 60, size: 'max' }),
      async (strategy, chapters) => {
        const fixture = await startedPool({ connections: 3, strategy, maxConcurrentPerConnection: 4 })
        const story = { ...fixture, leases: [] }
        for (const one of chapters) {
          one(story)
          await story.pass(0)
        }
        await livesOn(story)
        const { active, available, healthy, breaker, inFlight } = story.pool.snapshot()
        assert.deepEqual(
          { active, available, healthy, breaker, inFlight },
          { active: 3, available: 3, healthy: 3, breaker: 'closed', inFlight: 0 },
        )
      },
    ),
    { numRuns: 150 },
  )
})
