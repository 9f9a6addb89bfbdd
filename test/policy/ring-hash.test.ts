import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { seededRandom } from '../../src/core/random.ts'
import { HashRing, POINTS_PER_CANDIDATE } from '../../src/policy/strategies/hash-ring.ts'
import { hashPair } from '../../src/policy/strategies/key-hash.ts'
import { ringHash } from '../../src/policy/strategies/ring-hash.ts'
import type { OpenCandidate } from './candidates.ts'
import { ANY, candidate, candidates, context } from './candidates.ts'

const KEYS = Array.from({ length: 500 }, (_, at) => `session-${at * 7919}`)

/** Candidate id per key, on an idle pool. */
function homes(pool: readonly OpenCandidate[]): number[] {
  const picker = ringHash.build(pool, seededRandom(1))
  return KEYS.map((key) => pool[picker.pick(context(key))]!.id)
}

describe('ring-hash', () => {
  it('sends a key to the same connection every time, in every process', () => {
    const pool = candidates(16)
    assert.deepEqual(homes(pool), homes(candidates(16)))
    const picker = ringHash.build(pool, seededRandom(2))
    const first = KEYS.map((key) => picker.pick(context(key)))
    assert.deepEqual(
      KEYS.map((key) => picker.pick(context(key))),
      first,
    )
  })

  it('moves only the keys of a removed connection, wherever it stood in the list', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(1e6), { minLength: 2, maxLength: 20 }), fc.nat(), (ids, pick) => {
        const pool = ids.map((id) => candidate(id + 1))
        const gone = pool[pick % pool.length]!
        const before = homes(pool)
        const after = homes(pool.filter((entry) => entry !== gone))
        for (const [at, id] of before.entries()) if (id !== gone.id) assert.equal(after[at], id)
      }),
      { numRuns: 40 },
    )
  })

  it('moves keys to an added connection only, and about its share of them', () => {
    for (const size of [1, 4, 16]) {
      const pool = candidates(size)
      const before = homes(pool)
      const after = homes([...pool, candidate(size + 1)])
      const moved = after.filter((id, at) => id !== before[at])
      assert.ok(moved.every((id) => id === size + 1))
      const share = moved.length / KEYS.length
      assert.ok(share > 0.5 / (size + 1) && share < 1.6 / (size + 1), `${share} moved at ${size}`)
    }
  })

  it('gives the keys of an unavailable connection to others and back, touching no other key', () => {
    const pool = candidates(8)
    const before = homes(pool)
    pool[3]!.isAvailable = false
    const during = homes(pool)
    for (const [at, id] of before.entries()) {
      if (id === 4) assert.notEqual(during[at], 4)
      else assert.equal(during[at], id)
    }
    pool[3]!.isAvailable = true
    assert.deepEqual(homes(pool), before)
  })

  it('takes keys from a connection that loses weight and returns the same ones', () => {
    const pool = candidates(8)
    const before = homes(pool)
    pool[5]!.weight = 0.5
    const half = homes(pool)
    pool[5]!.weight = 0.25
    const quarter = homes(pool)
    for (const [at, id] of before.entries()) {
      if (id !== 6) assert.equal(half[at], id)
      if (half[at] !== 6) assert.equal(quarter[at], half[at])
    }
    const kept = half.filter((id) => id === 6).length / before.filter((id) => id === 6).length
    assert.ok(kept > 0.3 && kept < 0.7, `${kept} kept at weight 0.5`)
    pool[5]!.weight = 1
    assert.deepEqual(homes(pool), before)
  })

  it('places keys by relative weight: a pool in slow start is laid out like a warm one', () => {
    const pool = candidates(6)
    const warm = ringHash.build(pool, seededRandom(1))
    for (const entry of pool) entry.weight = 0.1
    const changed = KEYS.map((key) => pool[warm.pick(context(key))]!.id)
    assert.deepEqual(changed, homes(candidates(6)))
  })

  it('gives a key to the first point at or after it, and to the first of all behind the last', () => {
    const ids = [3, 8, 21]
    const ring = new HashRing(ids)
    const points = ids.flatMap((id, owner) =>
      Array.from({ length: POINTS_PER_CANDIDATE }, (_, point) => ({ at: hashPair(id, point), owner })),
    )
    points.sort((one, other) => one.at - other.at)
    for (let step = 0; step < 5000; step++) {
      const key = step * 858_993 + (step % 7)
      const expected = points.find((point) => point.at >= key) ?? points[0]!
      assert.equal(ring.ownerOf(ring.slotAt(key)), expected.owner)
    }
    assert.equal(ring.slotAt(2 ** 32 - 1), 0)
    assert.equal(ring.after(ring.size - 1), 0)
  })

  it('keeps every connection within the bound when one key is hot', () => {
    for (const size of [2, 5, 8]) {
      const pool = candidates(size)
      const picker = ringHash.build(pool, seededRandom(1))
      for (let total = 0; total < 400; total++) {
        const chosen = pool[picker.pick(context('hot'))]!
        assert.ok(chosen.inFlight < Math.ceil((1.25 * (total + 1)) / size))
        chosen.inFlight++
      }
    }
  })

  it('stays near the bound in large pools, where loads are sampled', () => {
    const pool = candidates(256)
    const picker = ringHash.build(pool, seededRandom(1))
    for (let total = 0; total < 5120; total++) pool[picker.pick(context(`key-${total}`))]!.inFlight++
    const most = Math.max(...pool.map((entry) => entry.inFlight))
    assert.ok(most <= 26, `${most} in flight where 20 is the average`)
  })

  it('picks the least loaded for events without a key', () => {
    const pool = candidates(4, { inFlight: 3 })
    pool[2]!.inFlight = 1
    assert.equal(ringHash.build(pool, seededRandom(1)).pick(ANY), 2)
  })
})
