import type { LoadView } from '../admin/views.ts'
import type { Clock } from '../core/clock.ts'
import { AdaptiveLimit } from '../policy/limits/adaptive-limit.ts'
import { DEFAULT_TARGETS, LoadPressure } from '../policy/limits/load-pressure.ts'
import { ConcurrencyGate } from '../proxy/limits/concurrency-gate.ts'
import { CHECKPOINT_BATCH } from '../proxy/limits/lease-courier.ts'
import type { Limiter } from '../proxy/limits/limiter.ts'
import { type LoadFigures, LoadSampler } from '../proxy/limits/load-sampler.ts'
import type { LoadFacts } from '../telemetry/load-series.ts'
import type { OverloadConfig, StorageConfig } from './config/config.ts'

/** What follows the load of this process: requests at agents (if `overload` is configured), slices of checkpoints. */
export class MeasuredLoad {
  /** The one there was stays: requests that it counts may still be under way when it is wanted again. */
  #gate: ConcurrencyGate | undefined
  #isLimiting = false
  readonly #pressure: LoadPressure
  readonly #limiter: Limiter
  readonly #sampler: LoadSampler
  #batch: AdaptiveLimit | undefined
  #cpuCores = 0

  constructor(overload: OverloadConfig | undefined, storage: StorageConfig, limiter: Limiter, clock: Clock) {
    this.#pressure = new LoadPressure(DEFAULT_TARGETS)
    this.#limiter = limiter
    this.configure(overload, storage)
    this.#sampler = new LoadSampler(clock, (figures) => this.observe(figures))
    this.#sampler.start()
  }

  /** Undefined: nothing limits requests. */
  get gate(): ConcurrencyGate | undefined {
    return this.#isLimiting ? this.#gate : undefined
  }

  /** All of it can change without a restart. True: another `gate` than before limits requests, or none does any more. */
  configure(overload: OverloadConfig | undefined, { batches }: StorageConfig): boolean {
    const before = this.gate
    if (overload !== undefined) {
      if (this.#gate === undefined) this.#gate = new ConcurrencyGate(overload)
      else this.#gate.configure(overload)
    }
    this.#isLimiting = overload !== undefined
    this.#pressure.targets = overload?.targets ?? DEFAULT_TARGETS
    const isAdaptive = batches === 'adaptive'
    if (isAdaptive !== (this.#batch !== undefined)) {
      this.#batch = isAdaptive ? new AdaptiveLimit(CHECKPOINT_BATCH) : undefined
      this.#limiter.checkpointBatch = CHECKPOINT_BATCH.initial
    }
    return this.gate !== before
  }

  stop(): void {
    this.#sampler.stop()
  }

  /** For operators; undefined while nothing limits requests. */
  get view(): LoadView | undefined {
    const { gate } = this
    if (gate === undefined) return undefined
    const { inFlight, limit, refused } = gate.facts
    return { inFlight, limit, refused, pressure: this.#pressure.value, cause: this.#pressure.cause }
  }

  get facts(): LoadFacts {
    const { value, state, smoothed } = this.#pressure
    const requests = this.gate?.facts
    return {
      ...smoothed,
      cpuCores: this.#cpuCores,
      pressure: value,
      state,
      requests,
      checkpointBatch: this.#limiter.checkpointBatch,
    }
  }

  /** One interval as the sampler saw it, four a second. */
  observe({ loopLagMs, utilization, cpuCores }: LoadFigures): void {
    this.#cpuCores = cpuCores
    this.#pressure.observe({ loopLagMs, utilization, queueMs: this.gate?.takeQueueMs() ?? 0 })
    const { value } = this.#pressure
    this.gate?.observe(value)
    if (this.#batch === undefined) return
    this.#limiter.checkpointBatch = this.#batch.observe(value, this.#limiter.takeLargestBatch())
  }
}
