import type { Clock, TimerHandle } from '../../core/clock.ts'
import type { WeirError } from '../../core/errors.ts'
import type { ByteChannel } from './byte-channel.ts'

/** Milliseconds a peer has to take our last bytes and end its direction. */
const CLOSE_TIMEOUT_MS = 1000

/** Ends a channel for good within a bounded time, however stuck its peer is. */
export class ChannelEnd {
  readonly #channel: ByteChannel
  readonly #clock: Clock
  /** Made when somebody asks: an idle connection keeps no promise. */
  #gone: Promise<void> | undefined
  #resolveGone: (() => void) | undefined
  #timer: TimerHandle | undefined
  #isGone = false

  constructor(channel: ByteChannel, clock: Clock) {
    this.#channel = channel
    this.#clock = clock
  }

  /** Resolves when nothing of the channel is left. */
  get gone(): Promise<void> {
    this.#gone ??= this.#isGone
      ? Promise.resolve()
      : new Promise((resolve) => {
          this.#resolveGone = resolve
        })
    return this.#gone
  }

  get isGone(): boolean {
    return this.#isGone
  }

  /** Ends our direction; what the peer has not taken after a second is dropped. */
  finish(reason?: WeirError): void {
    if (this.#isGone || this.#timer !== undefined) return
    this.#timer = this.#clock.setTimer(CLOSE_TIMEOUT_MS, () => this.#channel.destroy(reason))
    this.#channel.resume()
    this.#channel.end(reason)
  }

  /** The channel told that it is closed. */
  onClosed(): void {
    this.#isGone = true
    this.#timer?.cancel()
    this.#resolveGone?.()
  }
}
