import type { Socket } from 'node:net'
import type { Clock } from '../../core/clock.ts'
import { WeirError } from '../../core/errors.ts'
import { hostPort } from './host-port.ts'

export interface NewcomerOptions {
  /** Newcomers at once; one more, and the oldest is closed. Default 256. */
  readonly max?: number | undefined
  /** Milliseconds from a newcomer's arrival until it must have settled. */
  readonly timeoutMs: number
  readonly clock: Clock
  /** Told of each that was closed: OVERLOADED or TIMEOUT. */
  readonly onDropped?: ((peer: string, reason: WeirError) => void) | undefined
}

const MAX = 256

interface Newcomer {
  readonly socket: Socket
  readonly forget: () => void
}

/**
 * TCP connections of a listener that have not shown yet who they are or what they want. They cost an outsider
 * nothing, so they are bounded in number and time, and it is the oldest that gives way: idle ones must not keep out
 * those that come with a purpose.
 */
export class Newcomers {
  readonly #max: number
  readonly #options: NewcomerOptions
  /** By `host:port` of the peer, which is unique among the open sockets of a listener; oldest first. */
  readonly #byPeer = new Map<string, Newcomer>()

  constructor(options: NewcomerOptions) {
    this.#max = options.max ?? MAX
    this.#options = options
  }

  get size(): number {
    return this.#byPeer.size
  }

  add(socket: Socket): void {
    const { remoteAddress, remotePort } = socket
    /* It left before it was looked at. */
    if (remoteAddress === undefined || remotePort === undefined) {
      socket.destroy()
      return
    }
    const peer = hostPort(remoteAddress, remotePort)
    if (this.#byPeer.size >= this.#max) this.#dropOldest()
    const { clock, timeoutMs } = this.#options
    const timer = clock.setTimer(timeoutMs, () => {
      const message = `${peer} did not say within ${timeoutMs} ms what it wants`
      this.#drop(peer, new WeirError('TIMEOUT', message))
    })
    const forget = (): void => {
      timer.cancel()
      socket.removeListener('close', forget)
      this.#byPeer.delete(peer)
    }
    this.#byPeer.get(peer)?.forget()
    this.#byPeer.set(peer, { socket, forget })
    socket.once('close', forget)
  }

  /** It is none any more. Harmless for one that is not known. */
  settled(peer: string): void {
    this.#byPeer.get(peer)?.forget()
  }

  /** The listener closes. */
  destroyAll(): void {
    for (const { socket, forget } of [...this.#byPeer.values()]) {
      forget()
      socket.destroy()
    }
  }

  #dropOldest(): void {
    const [oldest] = this.#byPeer.keys()
    const message = `more than ${this.#max} connections have not said what they want`
    if (oldest !== undefined) this.#drop(oldest, new WeirError('OVERLOADED', message))
  }

  #drop(peer: string, reason: WeirError): void {
    const newcomer = this.#byPeer.get(peer)
    if (newcomer === undefined) return
    newcomer.forget()
    newcomer.socket.destroy()
    this.#options.onDropped?.(peer, reason)
  }
}
