import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ALLOWED, type LimitGate, type LimitVerdict } from '../../src/proxy/limits/limit-gate.ts'
import { Bench, chunkEvent, headersEvent } from './harness.ts'

/** A gate that notes what it was asked and given back. */
class NotingGate implements LimitGate {
  taken = 0
  refunded = 0
  answer: (() => LimitVerdict | Promise<LimitVerdict>) | undefined

  check(): LimitVerdict | Promise<LimitVerdict> {
    this.taken++
    return this.answer === undefined ? ALLOWED : this.answer()
  }

  refund(): void {
    this.refunded++
  }
}

test('an event that could not be sent gives its tokens back, one that was sent does not', async () => {
  const limits = new NotingGate()
  const bench = new Bench({ limits })
  const scope = bench.open([bench.agent('a')])
  bench.pool('a').refusal = 'unavailable'
  await bench.dispatcher.dispatch(headersEvent(scope), scope)
  assert.equal(limits.refunded, 1)
  bench.pool('a').refusal = undefined
  const sent = bench.dispatcher.dispatch(headersEvent(scope), scope)
  bench.pool('a').reply()
  await sent
  const late = bench.dispatcher.dispatch(chunkEvent(scope), scope)
  bench.clock.advance(1100)
  assert.equal((await late).error?.code, 'TIMEOUT')
  assert.deepEqual([limits.taken, limits.refunded], [3, 1])
})

test('a call waits for tokens that are being fetched, and ends by its deadline when they do not come', async () => {
  const limits = new NotingGate()
  const bench = new Bench({ limits })
  let bring!: (verdict: LimitVerdict) => void
  limits.answer = () =>
    new Promise((resolve) => {
      bring = resolve
    })
  const scope = bench.open([bench.agent('a')])
  const first = bench.dispatcher.dispatch(headersEvent(scope), scope)
  assert.equal(bench.pool('a').sent.length, 0)
  bring(ALLOWED)
  await Promise.resolve()
  await Promise.resolve()
  bench.pool('a').reply()
  assert.equal((await first).decision.kind, 'allow')
  const second = bench.dispatcher.dispatch(headersEvent(scope), scope)
  bench.clock.advance(1100)
  assert.equal((await second).error?.code, 'TIMEOUT')
  bring(ALLOWED)
  await Promise.resolve()
  await Promise.resolve()
  assert.equal(limits.refunded, 1, 'tokens that came too late go back')
  assert.equal(bench.pool('a').sent.length, 0)
})

test('a refusal in shadow mode is only counted', async () => {
  const limits = new NotingGate()
  limits.answer = () => ({
    allowed: false,
    code: 'RATE_LIMITED',
    retryAfterMs: 10,
    limit: 1,
    ratePerSecond: 1,
    remaining: 0,
    resetMs: 10,
    rule: 'r',
    shadow: true,
  })
  const bench = new Bench({ limits })
  const scope = bench.open([bench.agent('a')])
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  bench.pool('a').reply()
  assert.equal((await verdict).decision.kind, 'allow')
})
