import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Backoff } from '../../src/core/backoff.ts'
import { CorrelationIds, SLOT_RANGE, slotOf } from '../../src/core/correlation-id.ts'
import { ERROR_CODES, WeirError } from '../../src/core/errors.ts'
import { seededRandom } from '../../src/core/random.ts'

test('ids count through their slots and never repeat', () => {
  const ids = new CorrelationIds('abcdefgh')
  const seen = new Set<string>()
  for (let n = 0; n < SLOT_RANGE * 2 + 5; n++) {
    const id = ids.next()
    assert.equal(slotOf(id), n % SLOT_RANGE)
    seen.add(id)
  }
  assert.equal(seen.size, SLOT_RANGE * 2 + 5)
})

test('ids keep their length when their prefix counts on, and after the last prefix comes the first', () => {
  const ids = new CorrelationIds('vvvvvvvv')
  for (let n = 0; n < SLOT_RANGE; n++) assert.match(ids.next(), /^vvvvvvvv-[0-9a-v]{3}$/)
  assert.equal(ids.next(), '00000000-000')
})

test('two processes get different prefixes', () => {
  assert.notEqual(new CorrelationIds().next().slice(0, 8), new CorrelationIds().next().slice(0, 8))
})

test('a foreign id has either no slot or one in range, and never crashes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (id) => {
      const slot = slotOf(id)
      assert.ok(Number.isInteger(slot) && slot >= -1 && slot < SLOT_RANGE)
    }),
  )
  for (const id of ['', 'c1', 'abcdefgh-zzz', 'abcdefgh-00\u00e9', 'abcdefgh000'])
    assert.equal(slotOf(id), -1)
})

test('backoff grows to its ceiling, stays in the upper half of it, and starts over after a reset', () => {
  const backoff = new Backoff(seededRandom(1), { initialMs: 100, maxMs: 1000, factor: 2 })
  for (const ceiling of [100, 200, 400, 800, 1000, 1000, 1000]) {
    const pause = backoff.next()
    assert.ok(pause >= ceiling / 2 && pause < ceiling, `${pause} of ${ceiling}`)
  }
  backoff.reset()
  assert.ok(backoff.next() < 100)
})

test('seeded chance repeats itself and covers the unit interval evenly', () => {
  const first = seededRandom(7)
  const second = seededRandom(7)
  const buckets = new Array<number>(10).fill(0)
  for (let n = 0; n < 10_000; n++) {
    const value = first()
    assert.equal(value, second())
    buckets[Math.floor(value * 10)]!++
  }
  for (const count of buckets) assert.ok(count > 850 && count < 1150, String(buckets))
})

test('whatever is thrown becomes a WeirError, and a WeirError stays itself', () => {
  const own = new WeirError('TIMEOUT', 'late', { sent: false })
  assert.equal(WeirError.from(own), own)
  const foreign = WeirError.from(new TypeError('x is not a function'))
  assert.equal(foreign.code, 'INTERNAL')
  assert.ok(foreign.cause instanceof TypeError)
  assert.equal(WeirError.from('text', 'STORAGE').message, 'text')
})

test('an error may have been sent unless it says otherwise', () => {
  assert.equal(new WeirError('UNAVAILABLE', 'x').sent, true)
})

test('every code has a gRPC status of 1 to 16 and an HTTP status of 400 to 599', () => {
  for (const [code, { grpc, http }] of Object.entries(ERROR_CODES)) {
    assert.ok(grpc >= 1 && grpc <= 16 && http >= 400 && http <= 599, code)
  }
})
