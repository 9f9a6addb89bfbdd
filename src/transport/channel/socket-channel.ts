import type { Socket } from 'node:net'
import { WeirError } from '../../core/errors.ts'
import type { ByteChannel, ChannelListener } from './byte-channel.ts'

/** A connected net or tls socket as a byte channel. The socket must be made with `allowHalfOpen: true`. */
export class SocketChannel implements ByteChannel {
  readonly peer: string
  readonly #socket: Socket

  constructor(socket: Socket, peer: string) {
    this.#socket = socket
    this.peer = peer
    socket.setNoDelay(true)
  }

  start(listener: ChannelListener): void {
    const socket = this.#socket
    let failure: WeirError | undefined
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
