import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { timestampMs, timestampText } from '../../src/wire/shape/timestamp.ts'

test('remembered seconds never change what a timestamp says', () => {
  const instant = fc.integer({ min: 0, max: 3_000 }).map((offset) => 1_795_000_000_000 + offset)
  fc.assert(
    fc.property(fc.array(instant, { maxLength: 20 }), (instants) => {
      for (const ms of instants) {
        const text = new Date(ms).toISOString()
        assert.equal(timestampText(ms), text)
        assert.equal(timestampMs(text), ms)
        assert.equal(timestampMs(`${text.slice(0, 23)}456789+00:00`), ms)
      }
    }),
    { numRuns: 100 },
  )
})

test('a text that only looks like a remembered second is read by itself, and nonsense is 0', () => {
  timestampMs('2026-11-21T12:00:00.000Z')
  assert.equal(timestampMs('2026-11-21T12:00:00.12xZ'), 0)
  assert.equal(timestampMs('2026-11-21T12:00:00+01:00'), Date.UTC(2026, 10, 21, 11))
  assert.equal(timestampMs('1795000000000'), 1_795_000_000_000)
  for (const nonsense of ['t', '', null, undefined, Number.NaN, -5, {}, '-1', '9'.repeat(30)]) {
    assert.equal(timestampMs(nonsense), 0)
  }
  for (const ms of [Number.NaN, -1, 1e300]) assert.equal(timestampText(ms), '1970-01-01T00:00:00.000Z')
})
