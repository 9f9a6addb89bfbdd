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
  /** Undefined: nothing limits requests. */
  readonly gate: ConcurrencyGate | undefined
  readonly #pressure: LoadPressure
  readonly #limiter: Limiter
  readonly #sampler: LoadSampler
  #batch: AdaptiveLimit | undefined
  #cpuCores = 0

  constructor(overload: OverloadConfig | undefined, storage: StorageConfig, limiter: Limiter, clock: Clock) {
    this.gate = overload && new ConcurrencyGate(overload)
    this.#pressure = new LoadPressure(overload?.targets ?? DEFAULT_TARGETS)
    this.#limiter = limiter
    this.configure(storage)
    this.#sampler = new LoadSampler(clock, (figures) => this.observe(figures))
    this.#sampler.start()
  }

  /** Whether slices of checkpoints follow the load can change without a restart. */
  configure({ batches }: StorageConfig): void {
    const isAdaptive = batches === 'adaptive'
    if (isAdaptive === (this.#batch !== undefined)) return
    this.#batch = isAdaptive ? new AdaptiveLimit(CHECKPOINT_BATCH) : undefined
    this.#limiter.checkpointBatch = CHECKPOINT_BATCH.initial
  }

  stop(): void {
    this.#sampler.stop()
  }

  /** For operators; undefined while nothing limits requests. */
  get view(): LoadView | undefined {
    if (this.gate === undefined) return undefined
    const { inFlight, limit, refused } = this.gate.facts
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
