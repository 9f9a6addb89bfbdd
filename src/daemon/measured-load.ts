import type { Clock } from '../core/clock.ts'
import type { AdaptiveLimitOptions } from '../policy/limits/adaptive-limit.ts'
import { ConcurrencyGate } from '../proxy/limits/concurrency-gate.ts'
import { LoadSampler } from '../proxy/limits/load-sampler.ts'

/** The limit on requests at agents that follows the load of this process. */
export class MeasuredLoad {
  readonly gate: ConcurrencyGate
  readonly #sampler: LoadSampler

  constructor(options: AdaptiveLimitOptions, clock: Clock) {
    this.gate = new ConcurrencyGate(options)
    this.#sampler = new LoadSampler(clock, this.gate)
    this.#sampler.start()
  }

  stop(): void {
    this.#sampler.stop()
  }
}
