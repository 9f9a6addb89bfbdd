import { constants, type ServerHttp2Stream } from 'node:http2'
import { WeirError } from '../../core/errors.ts'
import type { ByteChannel, ChannelListener } from '../channel/byte-channel.ts'
import { writeTogether } from '../channel/write-together.ts'
import { trailersOf } from './grpc-status.ts'

/**
 * One gRPC call as its server sees it. Its response headers have left already: peers exist that send nothing
 * before they have them.
 */
export class Http2ServerChannel implements ByteChannel {
  readonly peer: string
  readonly #stream: ServerHttp2Stream
  #endReason: WeirError | undefined

  constructor(stream: ServerHttp2Stream, peer: string) {
    this.#stream = stream
    this.peer = peer
  }

  start(listener: ChannelListener): void {
    const stream = this.#stream
    let failure: WeirError | undefined
    stream.on('data', (chunk: Buffer) => listener.onData(chunk))
    stream.once('end', () => {
      /* A reset ends the readable side too. */
      if (!stream.aborted && stream.rstCode === constants.NGHTTP2_NO_ERROR) listener.onEnd(undefined)
    })
    stream.once('wantTrailers', () => stream.sendTrailers(trailersOf(this.#endReason)))
    stream.on('error', (error) => {
      failure ??= new WeirError('CONNECTION_LOST', `${this.peer}: ${error.message}`, { cause: error })
    })
    stream.once('close', () => listener.onClosed(failure))
  }

  write(bytes: Buffer, onTaken: (error?: Error | null) => void): void {
    this.#stream.write(bytes, onTaken)
  }

  writeParts(parts: readonly Buffer[], onTaken: (error?: Error | null) => void): void {
    writeTogether(this.#stream, parts, onTaken)
  }

  pause(): void {
    this.#stream.pause()
  }

  resume(): void {
    this.#stream.resume()
  }

  end(reason?: WeirError): void {
    this.#endReason = reason
    this.#stream.end()
  }

  destroy(): void {
    this.#stream.close(constants.NGHTTP2_CANCEL)
    this.#stream.destroy()
  }
}
