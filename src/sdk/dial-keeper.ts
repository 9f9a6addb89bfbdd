import { Backoff, type BackoffOptions } from '../core/backoff.ts'
import type { Clock, TimerHandle } from '../core/clock.ts'
import { type ErrorCode, WeirError } from '../core/errors.ts'
import type { Random } from '../core/random.ts'
import type { ProxyLink } from '../transport/proxy-link.ts'

/** What one of an agent's connections is doing. */
export type DialState =
  | { readonly state: 'dialing' }
  | { readonly state: 'registered'; readonly peer: string; readonly proxyId: string }
  | {
      readonly state: 'waiting'
      readonly error: WeirError
      /** The proxy answered and said no; otherwise it could not be reached or was lost. */
      readonly isRefused: boolean
      readonly retryInMs: number
    }
  | { readonly state: 'closed' }

/**
 * A link that ends sooner than this after its registration was not wanted: some proxies say yes and then hang up at
 * their connection limit. Such an end counts as a refusal, and the pauses keep growing.
 */
const STEADY_AFTER_MS = 5000

/** Failures that say nothing about what the proxy thinks of this agent. */
const UNREACHED: readonly ErrorCode[] = ['UNAVAILABLE', 'TIMEOUT', 'CONNECTION_LOST', 'CANCELLED']

export interface DialKeeperOptions {
  readonly dial: (signal: AbortSignal) => Promise<ProxyLink>
  readonly clock: Clock
  readonly random: Random
  readonly backoff?: BackoffOptions | undefined
  readonly onState: (state: DialState) => void
}

/** Keeps one reverse connection up: dials, and after any end dials again, forever, with growing pauses. */
export class DialKeeper {
  readonly #options: DialKeeperOptions
  readonly #backoff: Backoff
  #state: DialState = { state: 'closed' }
  #link: ProxyLink | undefined
  #registeredAt = 0
  #timer: TimerHandle | undefined
  #abort: AbortController | undefined
  #isStopped = false

  constructor(options: DialKeeperOptions) {
    this.#options = options
    this.#backoff = new Backoff(options.random, options.backoff)
  }

  get state(): DialState {
    return this.#state
  }

  start(): void {
    void this.#dial()
  }

  /** The transport closed a link. Links of other keepers are left alone. */
  linkClosed(link: ProxyLink, reason: WeirError): void {
    if (link !== this.#link) return
    this.#link = undefined
    if (this.#isStopped) return
    const isSteady = this.#options.clock.now() - this.#registeredAt >= STEADY_AFTER_MS
    if (isSteady) this.#backoff.reset()
    this.#wait(reason, !isSteady)
  }

  /** Dials no more. A link that is up stays up: closing it is the event server's. Idempotent. */
  stop(): void {
    if (this.#isStopped) return
    this.#isStopped = true
    this.#timer?.cancel()
    this.#abort?.abort(new WeirError('CANCELLED', 'the agent is closing', { sent: false }))
    this.#become({ state: 'closed' })
  }

  async #dial(): Promise<void> {
    this.#become({ state: 'dialing' })
    this.#abort = new AbortController()
    try {
      const link = await this.#options.dial(this.#abort.signal)
      this.#abort = undefined
      if (this.#isStopped) {
        await link.close()
        return
      }
      this.#link = link
      this.#registeredAt = this.#options.clock.now()
      this.#become({ state: 'registered', peer: link.peer, proxyId: link.proxyId })
      /* It may have ended between its registration and this turn, unheard. */
      if (link.isClosed)
        this.linkClosed(link, new WeirError('CONNECTION_LOST', 'closed right after the registration'))
    } catch (thrown) {
      this.#abort = undefined
      if (this.#isStopped) return
      const error = WeirError.from(thrown, 'UNAVAILABLE')
      this.#wait(error, !UNREACHED.includes(error.code))
    }
  }

  #wait(error: WeirError, isRefused: boolean): void {
    const retryInMs = this.#backoff.next()
    this.#become({ state: 'waiting', error, isRefused, retryInMs })
    this.#timer = this.#options.clock.setTimer(retryInMs, () => void this.#dial())
  }

  #become(state: DialState): void {
    this.#state = state
    this.#options.onState(state)
  }
}
