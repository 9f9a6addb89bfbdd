import type { ByteChannel, ChannelListener } from '../../../src/transport/channel/byte-channel.ts'

/** A channel whose other end is the test: bytes go in by `deliver`, out into `written`. */
export class PipeChannel implements ByteChannel {
  readonly peer = 'pipe'
  readonly written: Buffer[] = []
  #listener: ChannelListener | undefined
  #isGone = false

  start(listener: ChannelListener): void {
    this.#listener = listener
  }

  write(bytes: Buffer, onTaken: (error?: Error | null) => void): void {
    this.written.push(Buffer.from(bytes))
    onTaken()
  }

  pause(): void {}
  resume(): void {}
  end(): void {}

  destroy(): void {
    if (this.#isGone) return
    this.#isGone = true
    queueMicrotask(() => this.#listener!.onClosed(undefined))
  }

  deliver(chunk: Buffer): void {
    if (!this.#isGone) this.#listener!.onData(chunk)
  }

  /** The peer ends in good order, then everything is gone. */
  async finish(): Promise<void> {
    if (!this.#isGone) this.#listener!.onEnd(undefined)
    this.destroy()
    await new Promise((resolve) => setImmediate(resolve))
  }
}
