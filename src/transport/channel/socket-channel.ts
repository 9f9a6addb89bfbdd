import type { Socket } from 'node:net'
import { WeirError } from '../../core/errors.ts'
import { type OwnReads, readInto } from './accepted-socket.ts'
import type { ByteChannel, ChannelListener } from './byte-channel.ts'
import type { ReadBuffers } from './read-buffers.ts'
import { writeTogether } from './write-together.ts'

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

  /** `buffers`: for an accepted socket, where its bytes are read into. */
  constructor(socket: Socket, peer: string, buffers?: ReadBuffers) {
    this.peer = peer
    this.#socket =
      buffers === undefined
        ? socket
        : (readInto(
            socket,
            readsOf(buffers, () => this),
          ) ?? socket)
    socket.setNoDelay(true)
  }

  /** `dial` gets a socket that reads into `buffers`, which is for whoever dials to choose. */
  static async dialed(
    dial: (onread: OwnReads) => Promise<Socket>,
    peer: string,
    buffers: ReadBuffers,
  ): Promise<SocketChannel> {
    /* Nothing is read before the turn in which the channel is made and started is over. */
    const channel: SocketChannel = new SocketChannel(await dial(readsOf(buffers, () => channel)), peer)
    return channel
  }

  /** The socket read so many bytes into these buffers. */
  onRead(count: number, buffers: ReadBuffers): void {
    if (this.#listener !== undefined) buffers.deliver(count, this.#listener)
  }

  start(listener: ChannelListener): void {
    const socket = this.#socket
    this.#listener = listener
    socket[CHANNEL] = this
    /*
     * Node's own listener does nothing where half-open sockets are allowed, and a second one takes an array to hold both.
     * One by one: all at once would leave the socket with a hash table for its listeners.
     */
    if (socket.allowHalfOpen) for (const own of socket.listeners('end')) socket.off('end', own as () => void)
    socket.on('data', onData)
    socket.on('end', onEnd)
    socket.on('error', onError)
    socket.on('close', onClose)
  }

  write(bytes: Buffer, onTaken: (error?: Error | null) => void): void {
    this.#socket.write(bytes, onTaken)
  }

  writeParts(parts: readonly Buffer[], onTaken: (error?: Error | null) => void): void {
    writeTogether(this.#socket, parts, onTaken)
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

  /** The socket's own listeners call these; nobody else does. */
  onData(chunk: Buffer): void {
    this.#listener?.onData(chunk)
  }

  onEnd(): void {
    this.#listener?.onEnd(undefined)
  }

  onError(error: Error): void {
    const message = `${this.peer}: ${error.message}`
    this.#failure ??= new WeirError('CONNECTION_LOST', message, { cause: error })
  }

  onClose(): void {
    const listener = this.#listener
    this.#listener = undefined
    listener?.onClosed(this.#failure)
  }
}

function readsOf(buffers: ReadBuffers, channel: () => SocketChannel): OwnReads {
  const callback = (count: number): boolean => {
    channel().onRead(count, buffers)
    return true
  }
  return { buffer: buffers.next, callback }
}

function onData(this: ChannelSocket, chunk: Buffer): void {
  this[CHANNEL]!.onData(chunk)
}

function onEnd(this: ChannelSocket): void {
  this[CHANNEL]!.onEnd()
}

function onError(this: ChannelSocket, error: Error): void {
  this[CHANNEL]!.onError(error)
}

function onClose(this: ChannelSocket): void {
  this[CHANNEL]!.onClose()
}
