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

/** Keeps `inFlight` operations going for `durationMs`: throughput at a given concurrency. */
export async function closedLoop(
  operation: Operation,
  inFlight: number,
  durationMs: number,
): Promise<LoadFigures> {
  const histogram = new Histogram()
  let failed = 0
  const startedAt = performance.now()
  const until = startedAt + durationMs
  const worker = async (): Promise<void> => {
    let now = performance.now()
    while (now < until) {
      const ok = await operation()
      const end = performance.now()
      histogram.record((end - now) * 1000)
      if (!ok) failed++
      now = end
    }
  }
  await Promise.all(Array.from({ length: inFlight }, worker))
  return figures(histogram, failed, performance.now() - startedAt)
}

/** Starts one operation; `settled` is told once whether it went well. */
export type Starter = (settled: (isGood: boolean) => void) => void

/**
 * As {@link closedLoop}, for comparison with loops that only count: no latencies, no promises of its own. Operations per
 * second; rejects when one failed.
 */
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
 * it was due: a stall is charged to every operation it delayed (no coordinated omission).
 */
export async function openLoop(
  operation: Operation,
  perSecond: number,
  durationMs: number,
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
      if (started < total) setImmediate(turn)
      else if (running === 0) resolve()
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
