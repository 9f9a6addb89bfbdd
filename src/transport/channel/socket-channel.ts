import type { Socket } from 'node:net'
import { WeirError } from '../../core/errors.ts'
import type { ByteChannel, ChannelListener } from './byte-channel.ts'

/** Where a socket finds its channel: listeners shared by all sockets cost an idle one nothing. */
const CHANNEL = Symbol('channel')

type ChannelSocket = Socket & { [CHANNEL]?: SocketChannel }

/** A connected net or tls socket as a byte channel. The socket must be made with `allowHalfOpen: true`. */
export class SocketChannel implements ByteChannel {
  readonly peer: string
  readonly #socket: ChannelSocket
  /** Undefined before the start and after the end. */
  #listener: ChannelListener | undefined
  #failure: WeirError | undefined

  constructor(socket: Socket, peer: string) {
    this.#socket = socket
    this.peer = peer
    socket.setNoDelay(true)
  }

  start(listener: ChannelListener): void {
    const socket = this.#socket
    this.#listener = listener
    socket[CHANNEL] = this
    socket.on('data', SocketChannel.#onData)
    socket.on('end', SocketChannel.#onEnd)
    socket.on('error', SocketChannel.#onError)
    socket.on('close', SocketChannel.#onClose)
  }

  write(bytes: Buffer, onTaken: (error?: Error | null) => void): void {
    this.#socket.write(bytes, onTaken)
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  end(): void {
    this.#socket.end()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  static #onData(this: ChannelSocket, chunk: Buffer): void {
    this[CHANNEL]!.#listener?.onData(chunk)
  }

  static #onEnd(this: ChannelSocket): void {
    this[CHANNEL]!.#listener?.onEnd(undefined)
  }

  static #onError(this: ChannelSocket, error: Error): void {
    const channel = this[CHANNEL]!
    const message = `${channel.peer}: ${error.message}`
    channel.#failure ??= new WeirError('CONNECTION_LOST', message, { cause: error })
  }

  static #onClose(this: ChannelSocket): void {
    const channel = this[CHANNEL]!
    const listener = channel.#listener
    channel.#listener = undefined
    listener?.onClosed(channel.#failure)
  }
}
