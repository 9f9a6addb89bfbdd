import assert from 'node:assert/strict'
import type { ModelConnection, World } from './world.ts'

/** As documented in `src/pool/burst.ts`: slower replies, and a longer silence, end bursts. Milliseconds. */
const MAX_REPLY_MS = 10
/** Events of a burst: up to this many fair shares, and one. */
const FAIR_SHARES = 2

/** What schedules made of bursts, so that a test can tell that they were exercised. */
export const seen = { followed: 0, bounded: 0, slow: 0 }

/** The events of one tick that went to one connection one after the other. */
interface Run {
  readonly on: ModelConnection
  length: number
  /** Events it may have; undefined: it began before this tick, with what was in flight then. */
  readonly bound: number | undefined
}

/**
 * Leases `count` times within one tick. Each must follow the one before it or go elsewhere, just as it is known from what
 * the test itself brought about: who gathers, who answered how fast, how much is in flight.
 */
export function tick(world: World, count: number): void {
  const { ready } = world
  let run: Run | undefined
  for (let n = 0; n < count; n++) {
    const before = run
    const open = ready.filter((connection) => world.canTakeNew(connection))
    const fairShare = world.leases.length / ready.length
    const mayFollow = before !== undefined && followable(world, ready, before)
    const taken = world.lease({ isBody: false })
    if (taken === undefined) return
    const on = world.known.get(taken.id)!
    const bound = Math.ceil(Math.min(world.maxBurst, FAIR_SHARES * fairShare + 1))
    if (before === undefined) {
      run = { on, length: 1, bound: undefined }
      continue
    }
    const isSame = on === before.on
    const isCut = before.bound !== undefined && before.length >= before.bound
    if (mayFollow && before.bound !== undefined && !isCut) assert.ok(isSame, 'a burst was broken up')
    if (mayFollow && isCut) seen.bounded++
    /* Full shares take turns: the strategy itself never chooses the same one twice while there are others. */
    const takesTurns = open.length > 1 && !ready.some(({ hasFailed }) => hasFailed)
    if (isSame && takesTurns) {
      assert.ok(mayFollow, 'an event followed where none may')
      assert.ok(!isCut, `a burst of ${before.length + 1}, where ${before.bound} are allowed`)
    }
    const follows = isSame && mayFollow && !isCut
    if (follows) {
      seen.followed++
      before.length++
    } else run = { on, length: 1, bound }
  }
}

/** Every connection has answered fast, and gathers: what bursts need. */
export function warmUp(world: World): void {
  for (let left = world.ready.length; left > 0; left--) world.lease({ isBody: false })
  for (const lease of [...world.leases]) world.release(lease, 'replied')
  for (const { fake } of world.ready) fake.isGathering = true
}

function followable(world: World, ready: readonly ModelConnection[], { on }: Run): boolean {
  const isSlow = ready.some(({ lastReplyMs }) => lastReplyMs > MAX_REPLY_MS)
  if (isSlow && on.fake.isGathering) seen.slow++
  const silentMs = on.inFlight === 0 ? 0 : world.clock.now() - Math.max(on.aliveAt, on.busySince)
  return (
    on.fake.isGathering && world.canTakeNew(on) && !isSlow && silentMs <= MAX_REPLY_MS && world.maxBurst > 1
  )
}
