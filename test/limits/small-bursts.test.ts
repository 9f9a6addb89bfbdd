import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { LimitVerdict } from '../../src/proxy/limits/limit-gate.ts'
import type { Limiter } from '../../src/proxy/limits/limiter.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { makeLimiter, type RequestParts, request, rule } from './support.ts'
import { UnsteadyStore } from './unsteady-store.ts'

/** Longest time that an answer of the store may take, milliseconds. */
const SLOWEST_MS = 240

/** Checks with a store whose answer takes `answerMs`. */
async function check(
  setup: { clock: FakeClock; store: UnsteadyStore },
  limiter: Limiter,
  answerMs: number,
  parts: RequestParts = {},
): Promise<LimitVerdict> {
  setup.store.mode = 'stalled'
  const verdict = limiter.check(request(parts))
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
  setup.clock.advance(answerMs)
  setup.store.mode = 'steady'
  return await verdict
}

describe('limits whose burst is one event', () => {
  for (const rate of [0.1, 1, 2, 4, 50]) {
    it(`${rate} per second admit one after each refill, however long the store takes`, async () => {
      const setup = { clock: new FakeClock(), store: new UnsteadyStore() }
      const limiter = makeLimiter({ ...setup, rules: [rule(rate, 1)] })
      for (let round = 0; round < 20; round++) {
        const answerMs = round % 2 === 0 ? 3 : SLOWEST_MS
        assert.ok((await check(setup, limiter, answerMs)).allowed, `round ${round}`)
        setup.clock.advance(1000 / rate + 1)
      }
      assert.ok((await check(setup, limiter, 1)).allowed)
      if (rate <= 4) assert.ok(!(await check(setup, limiter, 1)).allowed)
    })
  }

  it('admit a body as large as the burst', async () => {
    const setup = { clock: new FakeClock(), store: new UnsteadyStore() }
    const limiter = makeLimiter({ ...setup, rules: [rule(100, 3000, { cost: 'byte' })] })
    assert.ok((await check(setup, limiter, 20, { bytes: 3000 })).allowed)
    assert.ok(!(await check(setup, limiter, 20, { bytes: 3000 })).allowed)
  })

  it('serve two processes in turn', async () => {
    const setup = { clock: new FakeClock(), store: new UnsteadyStore() }
    const limiters = [1, 2].map(() => makeLimiter({ ...setup, rules: [rule(1, 1)] }))
    const admitted = [0, 0]
    for (let step = 0; step < 400; step++) {
      const which = step % 2
      if ((await check(setup, limiters[which]!, 5)).allowed) admitted[which]!++
      setup.clock.advance(95)
    }
    const total = admitted[0]! + admitted[1]!
    assert.ok(total <= 42, `${total} in 40 s`)
    assert.ok(total >= 30, `${total} in 40 s`)
    assert.ok(Math.min(...admitted) > 0, admitted.join())
  })
})
