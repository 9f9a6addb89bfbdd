import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../src/core/clock.ts'
import type { AgentCall } from '../../src/proxy/agent-call.ts'
import { limitLayer } from '../../src/proxy/layers/limit.ts'
import type { Limiter } from '../../src/proxy/limits/limiter.ts'
import { bytesPerRound } from '../support/bytes-per-round.ts'
import { makeLimiter, request, rule } from './support.ts'

/** One boxed number (16), where the compiler does not see through a call; the smallest array takes 32. */
const MAX_BYTES = 24

/** Bytes per turn; at most `bound` is enough to know. */
function bytesPerTurn(turn: () => void, bound: number): number {
  return bytesPerRound((rounds) => {
    for (let round = 0; round < rounds; round++) turn()
  }, bound)
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

async function limiterWithTokens(): Promise<Limiter> {
  const limiter = makeLimiter({ clock: systemClock, agents })
  await limiter.check(request())
  return limiter
}

test('a check of an agent with one limit and a fixed key builds nothing while tokens are held', async () => {
  const limiter = await limiterWithTokens()
  const asked = { ...request(), startedAt: systemClock.now() }
  const bytes = bytesPerTurn(() => void limiter.check(asked), MAX_BYTES)
  assert.ok(bytes <= MAX_BYTES, `${bytes} bytes per check`)
  assert.equal(limiter.stats.denials.rateLimited, 0)
})

test('the limit layer builds no object per event, on the way in and out', async () => {
  const layer = limitLayer(await limiterWithTokens())
  const call = new Call() as unknown as AgentCall
  const bytes = bytesPerTurn(() => {
    layer.enter?.(call)
    layer.leave?.(call)
  }, MAX_BYTES)
  assert.ok(bytes <= MAX_BYTES, `${bytes} bytes per event`)
})
