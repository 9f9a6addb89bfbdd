import type { Socket } from 'node:net'
import { WeirError } from '../../core/errors.ts'
import { readInto } from './accepted-socket.ts'
import type { ByteChannel, ChannelListener } from './byte-channel.ts'
import type { ReadBuffers } from './read-buffers.ts'
import { writeTogether } from './write-together.ts'

/** A connected net or tls socket as a byte channel. The socket must be made with `allowHalfOpen: true`. */
export class SocketChannel implements ByteChannel {
  readonly peer: string
  readonly #socket: Socket
  #listener: ChannelListener | undefined

  /** `buffers`: for an accepted socket, where its bytes are read into. */
  constructor(socket: Socket, peer: string, buffers?: ReadBuffers) {
    this.peer = peer
    this.#socket = buffers === undefined ? socket : this.#reading(socket, buffers)
    socket.setNoDelay(true)
  }

  #reading(accepted: Socket, buffers: ReadBuffers): Socket {
    const callback = (count: number): boolean => {
      buffers.deliver(count, this.#listener!)
      return true
    }
    return readInto(accepted, { buffer: buffers.next, callback }) ?? accepted
  }

  start(listener: ChannelListener): void {
    const socket = this.#socket
    let failure: WeirError | undefined
    this.#listener = listener
    socket.on('data', (chunk: Buffer) => listener.onData(chunk))
    socket.once('end', () => listener.onEnd(undefined))
    socket.on('error', (error) => {
      failure ??= new WeirError('CONNECTION_LOST', `${this.peer}: ${error.message}`, { cause: error })
    })
    socket.once('close', () => {
      socket.removeAllListeners('data')
      listener.onClosed(failure)
    })
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
}
