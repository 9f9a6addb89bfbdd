import { Histogram } from './histogram.ts'

export interface LoadFigures {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly done: number
  readonly failed: number
  readonly histogram: Histogram
}

/** Resolves when one operation is over; false when it failed. */
export type Operation = () => Promise<boolean>

/** Starts one operation; `settled` is told once whether it went well. */
export type Starter = (settled: (isGood: boolean) => void) => void

/** Keeps `inFlight` operations going for `durationMs`: throughput and latencies at a given concurrency. */
export async function closedLoop(start: Starter, inFlight: number, durationMs: number): Promise<LoadFigures> {
  const histogram = new Histogram()
  let failed = 0
  let running = inFlight
  const startedAt = performance.now()
  const until = startedAt + durationMs
  await new Promise<void>((resolve) => {
    const work = (): void => {
      let now = performance.now()
      const settled = (isGood: boolean): void => {
        const end = performance.now()
        histogram.record((end - now) * 1000)
        if (!isGood) failed++
        now = end
        if (end < until) start(settled)
        else if (--running === 0) resolve()
      }
      start(settled)
    }
    for (let n = 0; n < inFlight; n++) work()
  })
  return figures(histogram, failed, performance.now() - startedAt)
}

/** As {@link closedLoop}, beside loops that only count; operations per second. Throws when one failed. */
export async function countingLoop(start: Starter, inFlight: number, durationMs: number): Promise<number> {
  const startedAt = performance.now()
  const until = startedAt + durationMs
  let count = 0
  let failed = 0
  let running = inFlight
  await new Promise<void>((resolve) => {
    const settled = (isGood: boolean): void => {
      count++
      if (!isGood) failed++
      if (performance.now() < until) start(settled)
      else if (--running === 0) resolve()
    }
    for (let n = 0; n < inFlight; n++) start(settled)
  })
  if (failed > 0) throw new Error(`${failed} of ${count} requests failed`)
  return (count * 1000) / (performance.now() - startedAt)
}

/**
 * Starts operations at a fixed rate whether or not earlier ones ended, and counts each latency from the instant
 * it was due: a stall is charged to every operation it delayed (no coordinated omission). `restMs`: between two looks at
 * what is due; 0: it never sleeps, and is never late.
 */
export async function openLoop(
  operation: Operation,
  perSecond: number,
  durationMs: number,
  restMs = 0,
): Promise<LoadFigures> {
  const histogram = new Histogram()
  let failed = 0
  let running = 0
  let finished: (() => void) | undefined
  const startedAt = performance.now()
  const total = Math.floor((perSecond * durationMs) / 1000)
  let started = 0
  const startDue = (): void => {
    const due = Math.min(total, Math.floor(((performance.now() - startedAt) * perSecond) / 1000))
    for (; started < due; started++) {
      const dueAt = startedAt + (started * 1000) / perSecond
      running++
      void operation().then((ok) => {
        histogram.record((performance.now() - dueAt) * 1000)
        if (!ok) failed++
        running--
        if (running === 0 && started === total) finished?.()
      })
    }
  }
  await new Promise<void>((resolve) => {
    finished = resolve
    const turn = (): void => {
      startDue()
      if (started === total) {
        if (running === 0) resolve()
      } else if (restMs > 0) setTimeout(turn, restMs)
      else setImmediate(turn)
    }
    turn()
  })
  return figures(histogram, failed, performance.now() - startedAt)
}

function figures(histogram: Histogram, failed: number, elapsedMs: number): LoadFigures {
  return {
    perSecond: (histogram.total * 1000) / elapsedMs,
    p50Ms: histogram.quantile(0.5) / 1000,
    p99Ms: histogram.quantile(0.99) / 1000,
    done: histogram.total,
    failed,
    histogram,
  }
}
