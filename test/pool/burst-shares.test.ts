import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StrategyName } from '../../src/policy/picker.ts'
import type { PooledConnection } from '../../src/pool/pooled-connection.ts'
import { hints, startedPool } from '../support/pool-fixture.ts'

const STRATEGIES = ['round-robin', 'least-in-flight', 'health-based', 'p2c'] as const

interface Scene {
  readonly strategy: StrategyName
  readonly maxBurst: number
  /** Reply times of the first connection and of the three others, milliseconds. */
  readonly replyMs: readonly [first: number, others: number]
  readonly isDegraded: boolean
}

/** Share of the first of four connections in ticks of 20 events, each answered after its time in whole ticks of 1 ms. */
async function shareOfFirst({ strategy, maxBurst, replyMs, isDegraded }: Scene): Promise<number> {
  const { pool, clock, dialer, fake, lease } = await startedPool({ connections: 4, maxBurst, strategy })
  const [first, ...others] = dialer.alive
  lease({ pinnedTo: first!.id }).release('replied', replyMs[0])
  for (const { id } of others) lease({ pinnedTo: id }).release('replied', replyMs[1])
  if (isDegraded) first!.health({ state: 'degraded' })
  const held: { live: PooledConnection; dueAt: number; ms: number }[] = []
  let into = 0
  let total = 0
  for (let tick = 0; tick < 1000; tick++) {
    for (let n = 0; n < 20; n++) {
      const live = pool.lease(hints())
      if (typeof live === 'string') continue
      fake(live).isGathering = true
      const ms = live.id === first!.id ? replyMs[0] : replyMs[1]
      held.push({ live, dueAt: clock.now() + ms, ms })
      total++
      if (live.id === first!.id) into++
    }
    for (const one of dialer.alive) one.isGathering = false
    clock.advance(1)
    for (const one of held.splice(0))
      if (one.dueAt <= clock.now()) one.live.release('replied', one.ms)
      else held.push(one)
  }
  return into / total
}

/* Load-driven choices see the load once per burst, which costs the quicker connection a part of its lead, never more. */
for (const strategy of STRATEGIES)
  for (const isDegraded of [false, true])
    for (const replyMs of [
      [5, 12],
      [12, 5],
      [2, 2],
      [2, 6],
    ] as const)
      test(`bursts leave the shares of traffic as they are (${strategy}, ${replyMs.join(' beside ')} ms${isDegraded ? ', degraded' : ''})`, async () => {
        const alone = await shareOfFirst({ strategy, maxBurst: 1, replyMs, isDegraded })
        const inBursts = await shareOfFirst({ strategy, maxBurst: 32, replyMs, isDegraded })
        assert.ok(inBursts <= alone + 0.03, `${inBursts} instead of ${alone}`)
        assert.ok(inBursts >= alone * 0.6, `${inBursts} instead of ${alone}`)
      })

/** Events that a connection which never answers gets in ticks of 20, while the others answer within the tick. */
async function intoTheHung(maxBurst: number): Promise<number> {
  const { pool, clock, dialer, fake, lease } = await startedPool({ connections: 4, maxBurst })
  for (const { id } of dialer.alive) lease({ pinnedTo: id }).release('replied', 1)
  const hung = dialer.alive[0]!.id
  for (let n = 0; n < 8; n++) for (const { id } of dialer.alive) lease({ pinnedTo: id })
  clock.advance(11)
  let into = 0
  for (let tick = 0; tick < 20; tick++) {
    const held: PooledConnection[] = []
    for (let n = 0; n < 20; n++) {
      const live = pool.lease(hints())
      if (typeof live === 'string') continue
      fake(live).isGathering = true
      if (live.id === hung) into++
      else held.push(live)
    }
    for (const one of dialer.alive) one.isGathering = false
    clock.advance(1)
    for (const one of held) one.release('replied', 1)
  }
  return into
}

test('a connection that has something to answer and is silent gets no bursts', async () => {
  const [alone, inBursts] = [await intoTheHung(1), await intoTheHung(32)]
  assert.ok(inBursts <= alone / 2, `${inBursts} instead of ${alone}`)
})

test('a slow connection keeps the pool from bursts only while it is in use', async () => {
  const { pool, dialer, fake, lease } = await startedPool({ connections: 3 })
  for (const { id } of dialer.alive) lease({ pinnedTo: id }).release('replied', 1)
  for (let n = 0; n < 8; n++) for (const { id } of dialer.alive) lease({ pinnedTo: id })
  const isBurst = (): boolean => {
    const ids = Array.from({ length: 2 }, () => {
      const live = lease()
      fake(live).isGathering = true
      return live.id
    })
    for (const one of dialer.alive) one.isGathering = false
    return ids[0] === ids[1]
  }
  const slow = (): void => lease({ pinnedTo: dialer.alive[0]!.id }).release('replied', 11)
  assert.equal(isBurst(), true)
  slow()
  assert.equal(isBurst(), false)
  lease({ pinnedTo: dialer.alive[0]!.id }).release('replied', 1)
  assert.equal(isBurst(), true)
  slow()
  dialer.answer = 'hang'
  dialer.alive[0]!.transitionTo('closed')
  assert.equal(isBurst(), true)
  slow()
  pool.resize(1)
  lease({ pinnedTo: pool.snapshot().connections.find(({ stage }) => stage === 'ready')!.id }).release(
    'replied',
    1,
  )
  assert.equal(isBurst(), true)
})
