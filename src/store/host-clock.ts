import { randomUUID } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'

/** Makes `Clock.now()` of different processes on one host comparable, whatever the wall clock does. */
export interface HostClock {
  /** Names what `Clock.now() + offsetMs` counts from: one start of one host. */
  readonly identity: string
  /** Milliseconds to add to `Clock.now()` of this process. */
  readonly offsetMs: number
}

/**
 * On Linux the monotonic clock is one for all processes since the host started. Elsewhere each process is an epoch
 * of its own, and the time between two of them is taken from the wall clock, clamped (see `elapsedMs`).
 */
export function hostClock(): HostClock {
  const offsetMs = Number(process.hrtime.bigint()) / 1e6 - performance.now()
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    return { identity: `${boot} ${timeNamespace()}`, offsetMs }
  } catch {
    return { identity: `process ${randomUUID()}`, offsetMs }
  }
}

/** Containers may count monotonic time from another origin. */
function timeNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/time')
  } catch {
    return 'time:[host]'
  }
}
