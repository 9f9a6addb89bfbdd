import type { Clock } from '../../core/clock.ts'
import type { ManagedPool } from '../../pool/managed-pool.ts'

/** A request may have a later event after a pause of this length, milliseconds. */
const QUIET_MS = 2000
const LOOK_EVERY_MS = 100

/** Resolves when a pool that nothing new is sent to has had nothing in flight for a while, or at the bound. */
export function whenIdle(pool: ManagedPool, clock: Clock, timeoutMs: number): Promise<void> {
  const deadline = clock.now() + timeoutMs
  let quietSince = clock.now()
  return new Promise((resolve) => {
    function look(): void {
      const now = clock.now()
      const { inFlight, waiting, active } = pool.snapshot()
      if (inFlight > 0 || waiting > 0) quietSince = now
      if (active === 0 || now - quietSince >= QUIET_MS || now >= deadline) resolve()
      else clock.setTimer(LOOK_EVERY_MS, look)
    }
    look()
  })
}
