import { WeirError } from '../../core/errors.ts'
import type { ByteChannel, ChannelListener } from '../channel/byte-channel.ts'

/** Bytes before each message in gRPC framing: a compression flag and the length. */
const PREFIX_BYTES = 5

/** What the two kinds of grpc-js calls have in common here. Messages are Buffers without prefix. */
export interface GrpcJsCall {
  readonly destroyed: boolean
  write(message: Buffer, onTaken: (error?: Error | null) => void): boolean
  on(event: 'data', listener: (message: Buffer) => void): unknown
  pause(): unknown
  resume(): unknown
}

/** How a kind of call tells its end and is ended. */
export interface GrpcJsEnding {
  /** Sets up `onEnd` and `onClosed`. */
  readonly watch: (listener: ChannelListener) => void
  readonly end: (reason: WeirError | undefined) => void
  readonly destroy: (reason: WeirError | undefined) => void
}

/**
 * A grpc-js stream as a byte channel. grpc-js frames messages itself, so the prefixes that the codec writes are
 * taken off and put back on: this is the reference implementation, not the fast one.
 */
export class GrpcJsChannel implements ByteChannel {
  readonly peer: string
  readonly isDeferring = true
  readonly #call: GrpcJsCall
  readonly #ending: GrpcJsEnding

  constructor(call: GrpcJsCall, ending: GrpcJsEnding, peer: string) {
    this.#call = call
    this.#ending = ending
    this.peer = peer
  }

  start(listener: ChannelListener): void {
    this.#call.on('data', (message: Buffer) => {
      const prefix = Buffer.alloc(PREFIX_BYTES)
      prefix.writeUInt32BE(message.length, 1)
      listener.onData(prefix)
      listener.onData(message)
    })
    this.#ending.watch(listener)
  }

  write(bytes: Buffer, onTaken: (error?: Error | null) => void): void {
    for (let at = 0; at < bytes.length; ) {
      const end = at + PREFIX_BYTES + bytes.readUInt32BE(at + 1)
      const message = bytes.subarray(at + PREFIX_BYTES, end)
      this.#call.write(message, end === bytes.length ? onTaken : ignore)
      at = end
    }
  }

  pause(): void {
    this.#call.pause()
  }

  resume(): void {
    this.#call.resume()
  }

  end(reason?: WeirError): void {
    this.#ending.end(reason)
  }

  destroy(reason?: WeirError): void {
    this.#ending.destroy(reason)
  }
}

function ignore(): void {}

export function lostCall(peer: string, cause: Error): WeirError {
  return new WeirError('CONNECTION_LOST', `${peer}: ${cause.message}`, { cause })
}
