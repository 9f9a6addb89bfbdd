import { type ClientHttp2Session, type ClientHttp2Stream, constants } from 'node:http2'
import type { Socket } from 'node:net'
import { WeirError } from '../../core/errors.ts'
import type { ByteChannel, ChannelListener } from '../channel/byte-channel.ts'
import { writeTogether } from '../channel/write-together.ts'
import { errorOfStatus, foreignResponse, statusOf } from './grpc-status.ts'

/** One gRPC call as its client sees it, alone on its HTTP/2 session. */
export class Http2ClientChannel implements ByteChannel {
  readonly peer: string
  readonly isDeferring = true
  readonly #session: ClientHttp2Session
  readonly #stream: ClientHttp2Stream
  readonly #socket: Socket

  /** `socket` is the one below `session`. */
  constructor(session: ClientHttp2Session, stream: ClientHttp2Stream, socket: Socket, peer: string) {
    this.#session = session
    this.#stream = stream
    this.#socket = socket
    this.peer = peer
  }

  start(listener: ChannelListener): void {
    const session = this.#session
    const stream = this.#stream
    const { peer } = this
    let failure: WeirError | undefined
    let status: ReturnType<typeof statusOf>
    const fail = (error: WeirError): void => {
      failure ??= error
      this.destroy()
    }
    stream.once('response', (headers) => {
      const foreign = foreignResponse(headers, peer)
      if (foreign !== undefined) fail(foreign)
      status ??= statusOf(headers)
    })
    stream.once('trailers', (headers) => {
      status ??= statusOf(headers)
    })
    stream.on('data', (chunk: Buffer) => listener.onData(chunk))
    stream.once('end', () => {
      /* A reset ends the readable side too; only a status makes it an end in good order. */
      if (failure !== undefined) return
      if (status !== undefined) listener.onEnd(errorOfStatus(status.status, status.message, peer))
      else if (stream.rstCode === constants.NGHTTP2_NO_ERROR && !stream.aborted)
        fail(new WeirError('PROTOCOL_ERROR', `${peer} ended the call without a status`))
    })
    stream.on('error', (error) => fail(lost(peer, error.message, error)))
    session.on('error', (error) => fail(lost(peer, error.message, error)))
    session.once('goaway', (code) => {
      if (code === constants.NGHTTP2_NO_ERROR) listener.onRetiring()
    })
    stream.once('close', () => {
      if (stream.rstCode !== constants.NGHTTP2_NO_ERROR)
        failure ??= lost(peer, `the stream was reset with HTTP/2 code ${stream.rstCode}`)
      session.close()
      /* A session that broke keeps its socket, and so its own end, waiting for the peer. */
      if (session.destroyed) this.#socket.destroy()
    })
    session.once('close', () => listener.onClosed(failure))
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

  end(): void {
    this.#stream.end()
  }

  destroy(): void {
    this.#session.destroy()
    this.#socket.destroy()
  }
}

function lost(peer: string, message: string, cause?: Error): WeirError {
  return new WeirError('CONNECTION_LOST', `${peer}: ${message.trim()}`, { cause })
}
