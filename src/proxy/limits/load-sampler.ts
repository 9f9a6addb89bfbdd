import {
  type EventLoopUtilization,
  type IntervalHistogram,
  monitorEventLoopDelay,
  performance,
} from 'node:perf_hooks'
import type { Clock, TimerHandle } from '../../core/clock.ts'

/** What one interval was like. */
export interface LoadFigures {
  /** 95th percentile of how late timers ran, milliseconds. */
  readonly loopLagMs: number
  /** Share of the interval in which the event loop was busy, 0..1. */
  readonly utilization: number
  /** Cores that the process used, all its threads together. */
  readonly cpuCores: number
}

/** Between two samples; four of them are the memory of the pressure. */
const EVERY_MS = 250
/** Of the timer whose lateness is measured. */
const RESOLUTION_MS = 10

/** Measures how late and how busy the event loop is, and how much of the cores is used. */
export class LoadSampler {
  readonly #clock: Clock
  readonly #onSample: (figures: LoadFigures) => void
  #histogram: IntervalHistogram | undefined
  #timer: TimerHandle | undefined
  #loop: EventLoopUtilization = performance.eventLoopUtilization()
  #cpu = process.cpuUsage()
  #atMs = 0

  constructor(clock: Clock, onSample: (figures: LoadFigures) => void) {
    this.#clock = clock
    this.#onSample = onSample
  }

  start(): void {
    if (this.#histogram !== undefined) return
    this.#histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
    this.#histogram.enable()
    this.#loop = performance.eventLoopUtilization()
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
    const loop = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(loop, this.#loop)
    const spanMs = Math.max(1, now - this.#atMs)
    this.#atMs = now
    this.#cpu = process.cpuUsage()
    this.#loop = loop
    /* The histogram holds intervals of the timer, its period included. */
    const loopLagMs = Math.max(0, histogram.percentile(95) / 1e6 - RESOLUTION_MS)
    histogram.reset()
    this.#onSample({ loopLagMs, utilization, cpuCores: (used.user + used.system) / 1000 / spanMs })
  }
}
