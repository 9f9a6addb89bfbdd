import { Readable } from 'node:stream'

/** Where the bytes of an upstream request come from. */
export interface BodySource {
  /** The upstream takes more. */
  bodyWanted(): void
  /** The upstream takes no more, whatever comes. */
  bodyUnwanted(): void
}

/** Bytes an upstream may lag behind before the client is made to wait. */
const HIGH_WATER_BYTES = 64 * 1024

/** A request body on its way to undici, which wants a stream. */
export class UpstreamBody extends Readable {
  readonly #source: BodySource

  constructor(source: BodySource) {
    super({ highWaterMark: HIGH_WATER_BYTES })
    this.#source = source
    /* Destroyed with an error when the upstream fails, which is reported by the call itself. */
    this.on('error', () => undefined)
  }

  override _read(): void {
    this.#source.bodyWanted()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#source.bodyUnwanted()
    callback(error)
  }
}
