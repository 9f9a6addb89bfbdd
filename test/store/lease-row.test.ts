import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hostClock } from '../../src/store/host-clock.ts'
import { type HostTime, type LeaseRow, type RowAsk, settleRow } from '../../src/store/limits/lease-row.ts'

const DAY_MS = 86_400_000
const WALL = 1_700_000_000_000
const ASK: RowAsk = { rate: 1, burst: 100, seq: 0, give: 0, owed: 0, want: 100, least: 100, ahead: 0 }

/** A bucket of 100 tokens at 1/s that was emptied at `time`. */
function emptied(time: HostTime): LeaseRow {
  return settleRow(undefined, ASK, time).row
}

/** Tokens that an emptied bucket has at `later`. */
function refilled(row: LeaseRow, later: HostTime): number {
  const { from, to } = settleRow(row, ASK, later).grant
  return Math.round(to - from)
}

describe('stored bucket', () => {
  const before = { epoch: 1, nowMs: 500_000, wallMs: WALL }

  it('is refilled by monotonic time within one start of the host, whatever the wall clock does', () => {
    for (const stepMs of [-10 * DAY_MS, -1, 0, 1, 10 * DAY_MS])
      assert.equal(refilled(emptied(before), { epoch: 1, nowMs: 510_000, wallMs: WALL + stepMs }), 10)
  })

  it('is refilled by wall time over a restart of the host', () => {
    assert.equal(refilled(emptied(before), { epoch: 2, nowMs: 3000, wallMs: WALL + 40_000 }), 40)
  })

  it('is not refilled by a wall clock that went back, or far ahead, while the host was off', () => {
    for (const wallMs of [WALL - 1, WALL - 10 * DAY_MS, WALL + 367 * DAY_MS, Number.NaN])
      assert.equal(refilled(emptied(before), { epoch: 2, nowMs: 3000, wallMs }), 0)
  })

  it('counts monotonic time from the new start on after a restart of the host', () => {
    const { row } = settleRow(
      emptied(before),
      { ...ASK, want: 0, least: 0 },
      { epoch: 2, nowMs: 3000, wallMs: WALL },
    )
    assert.equal(refilled(row, { epoch: 2, nowMs: 8000, wallMs: WALL + DAY_MS }), 5)
  })
})

describe('host clock', () => {
  it('is the same for every caller in one host', () => {
    const [one, other] = [hostClock(), hostClock()]
    assert.equal(one.identity, other.identity)
    assert.ok(Math.abs(one.offsetMs - other.offsetMs) < 50)
  })
})
