import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Limiter } from '../../src/proxy/limits/limiter.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { makeLimiter, request, rule } from './support.ts'
import { UnsteadyStore } from './unsteady-store.ts'

/** Longest time that an answer of the store may take, milliseconds. */
const SLOWEST_MS = 240

/** A real store of which every answer takes its time. */
class SlowStore extends UnsteadyStore {
  readonly clock = new FakeClock()
  answerMs = 3

  override async settle(...args: Parameters<UnsteadyStore['settle']>): ReturnType<UnsteadyStore['settle']> {
    const grants = await super.settle(...args)
    this.clock.advance(this.answerMs)
    return grants
  }
}

/** Whatever was asked of the store in the background is answered. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}

function limiterOver(
  store: SlowStore,
  ratePerSecond: number,
  burst: number,
  cost: 'event' | 'byte' = 'event',
): Limiter {
  return makeLimiter({ clock: store.clock, store, rules: [rule(ratePerSecond, burst, { cost })] })
}

describe('limits whose burst is one event', () => {
  for (const rate of [0.1, 1, 2, 4, 50]) {
    it(`${rate} per second admit one after each refill, however long the store takes`, async () => {
      const store = new SlowStore()
      const limiter = limiterOver(store, rate, 1)
      for (let round = 0; round < 20; round++) {
        store.answerMs = round % 2 === 0 ? 3 : SLOWEST_MS
        assert.ok((await limiter.check(request())).allowed, `round ${round}`)
        await settled()
        store.clock.advance(1000 / rate + 1)
      }
      store.answerMs = 1
      assert.ok((await limiter.check(request())).allowed)
      assert.ok(!(await limiter.check(request())).allowed)
    })
  }

  it('admit a body as large as the burst', async () => {
    const store = new SlowStore()
    const limiter = limiterOver(store, 100, 3000, 'byte')
    assert.ok((await limiter.check(request({ bytes: 3000 }))).allowed)
    assert.ok(!(await limiter.check(request({ bytes: 3000 }))).allowed)
  })

  it('serve two processes in turn', async () => {
    const store = new SlowStore()
    const limiters = [limiterOver(store, 1, 1), limiterOver(store, 1, 1)]
    const admitted = [0, 0]
    for (let step = 0; step < 400; step++) {
      const which = step % 2
      if ((await limiters[which]!.check(request())).allowed) admitted[which]!++
      await settled()
      store.clock.advance(97)
    }
    const total = admitted[0]! + admitted[1]!
    assert.ok(total <= 42, `${total} in 40 s`)
    assert.ok(total >= 30, `${total} in 40 s`)
    assert.ok(Math.min(...admitted) > 0, admitted.join())
  })
})
