import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../src/core/clock.ts'
import type { AgentCall } from '../../src/proxy/agent-call.ts'
import { limitLayer } from '../../src/proxy/layers/limit.ts'
import { makeLimiter, request, rule } from './support.ts'

const WARM_UP = 200_000
/** Few enough that the garbage collector mostly stays away while one attempt is measured. */
const ROUNDS = 10_000
const ATTEMPTS = 30

/** Bytes per turn, the least of many attempts. */
function leastBytes(turn: () => void): number {
  const turns = (rounds: number): void => {
    for (let round = 0; round < rounds; round++) turn()
  }
  turns(WARM_UP)
  let least = Number.POSITIVE_INFINITY
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const before = process.memoryUsage().heapUsed
    turns(ROUNDS)
    const grown = process.memoryUsage().heapUsed - before
    if (grown >= 0) least = Math.min(least, grown / ROUNDS)
  }
  return least
}

/** What the layer sees of a call; a real one needs a pool and a chain, and is made per event anyway. */
class Call {
  readonly event = { kind: 'request-headers' }
  readonly facts = { clientIp: '10.0.0.1' }
  readonly startedAt = systemClock.now()
  readonly error = null
  limitReceipt = null

  get agentName(): string {
    return 'waf'
  }

  get routeName(): string {
    return 'api'
  }

  get payloadBytes(): number {
    return 0
  }
}

const agents = new Map([['waf', [rule(1e9, 1e9)]]])

test('a check of an agent with one limit and a fixed key builds nothing while tokens are held', () => {
  const limiter = makeLimiter({ clock: systemClock, agents })
  const asked = { ...request(), startedAt: systemClock.now() }
  const bytes = leastBytes(() => void limiter.check(asked))
  assert.ok(bytes < 12, `${bytes} bytes per check`)
  assert.equal(limiter.stats.denials.rateLimited, 0)
})

test('the limit layer builds no object per event, on the way in and out', () => {
  const layer = limitLayer(makeLimiter({ clock: systemClock, agents }))
  const call = new Call() as unknown as AgentCall
  const bytes = leastBytes(() => {
    layer.enter?.(call)
    layer.leave?.(call)
  })
  /* One boxed number, where the compiler does not see through a call. */
  assert.ok(bytes < 24, `${bytes} bytes per event`)
})
