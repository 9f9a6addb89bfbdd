import { availableParallelism } from 'node:os'
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import type { Clock, TimerHandle } from '../../core/clock.ts'
import type { ConcurrencyGate } from './concurrency-gate.ts'

/** Between two samples; four of them are the memory of the limit. */
const EVERY_MS = 250
/** Of the timer whose lateness is measured. */
const RESOLUTION_MS = 10

/** Measures how late the event loop is and how much of the cores is used, and tells the gate. */
export class LoadSampler {
  readonly #clock: Clock
  readonly #gate: ConcurrencyGate
  #histogram: IntervalHistogram | undefined
  #timer: TimerHandle | undefined
  #cpu = process.cpuUsage()
  #atMs = 0

  constructor(clock: Clock, gate: ConcurrencyGate) {
    this.#clock = clock
    this.#gate = gate
  }

  start(): void {
    if (this.#histogram !== undefined) return
    this.#histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
    this.#histogram.enable()
    this.#cpu = process.cpuUsage()
    this.#atMs = this.#clock.now()
    this.#schedule()
  }

  stop(): void {
    this.#timer?.cancel()
    this.#histogram?.disable()
    this.#histogram = undefined
  }

  #schedule(): void {
    this.#timer = this.#clock.setTimer(EVERY_MS, () => {
      this.#sample()
      this.#schedule()
    })
  }

  #sample(): void {
    const histogram = this.#histogram
    if (histogram === undefined) return
    const now = this.#clock.now()
    const used = process.cpuUsage(this.#cpu)
    const spanMs = Math.max(1, now - this.#atMs)
    this.#atMs = now
    this.#cpu = process.cpuUsage()
    /* The histogram holds intervals of the timer, its period included. */
    const loopLagMs = Math.max(0, histogram.percentile(95) / 1e6 - RESOLUTION_MS)
    histogram.reset()
    this.#gate.observe({
      loopLagMs,
      cpu: (used.user + used.system) / 1000 / spanMs / availableParallelism(),
    })
  }
}
