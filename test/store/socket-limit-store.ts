import { connect, createServer, type Server, type Socket } from 'node:net'
import { deserialize, serialize } from 'node:v8'
import { WeirError } from '../../src/core/errors.ts'
import type { LimitStore } from '../../src/proxy/limits/limit-store.ts'
import { MemoryLimitStore } from '../limits/memory-limit-store.ts'

/*
 * An engine behind a socket, as a networked one would be: every handle is a connection of its own, answers come when they
 * come. It shows that nothing above the port needs SQLite, a thread, or shared memory.
 */

type Method = 'settle' | 'changeBan' | 'bansSince' | 'banHistory' | 'expireIdle' | 'look' | 'lookAfter'

interface Call {
  readonly id: number
  readonly method: Method
  readonly args: readonly unknown[]
}

/** Calls `onMessage` with each message of a stream of 4-byte lengths and bodies. */
function readMessages(socket: Socket, onMessage: (message: unknown) => void): void {
  let rest = Buffer.alloc(0)
  socket.on('data', (part: Buffer) => {
    rest = Buffer.concat([rest, part])
    while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE(0)) {
      const end = 4 + rest.readUInt32BE(0)
      onMessage(deserialize(rest.subarray(4, end)))
      rest = rest.subarray(end)
    }
  })
}

function writeMessage(socket: Socket, message: unknown): void {
  const body = serialize(message)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(body.length)
  socket.write(Buffer.concat([length, body]))
}

/** Serves one engine; everybody who connects shares it. */
export function serveEngine(): Promise<Server> {
  const engine = new MemoryLimitStore()
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    readMessages(socket, (message) => {
      const { id, method, args } = message as Call
      const run = engine[method] as (...args: readonly unknown[]) => unknown
      void Promise.resolve(run.apply(engine, [...args])).then((value) => writeMessage(socket, { id, value }))
    })
  })
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)))
}

/** One handle on the engine at `port`. */
export class SocketLimitStore implements LimitStore {
  readonly #socket: Socket
  readonly #pending = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>()
  #lastId = 0

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1')
    readMessages(this.#socket, (message) => {
      const { id, value } = message as { readonly id: number; readonly value: unknown }
      this.#pending.get(id)?.resolve(value as never)
      this.#pending.delete(id)
    })
    this.#socket.on('error', () => this.#socket.destroy())
    this.#socket.on('close', () => {
      for (const { reject } of this.#pending.values()) reject(new WeirError('STORAGE', 'the engine is gone'))
      this.#pending.clear()
    })
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#socket.once('close', () => resolve())
      this.#socket.destroy()
    })
  }

  /** This engine lives as long as its test. */
  whenReplaced(): void {}

  settle(...args: Parameters<LimitStore['settle']>): Promise<Awaited<ReturnType<LimitStore['settle']>>> {
    return this.#call('settle', args)
  }

  changeBan(...args: Parameters<LimitStore['changeBan']>): ReturnType<LimitStore['changeBan']> {
    return this.#call('changeBan', args)
  }

  bansSince(...args: Parameters<LimitStore['bansSince']>): ReturnType<LimitStore['bansSince']> {
    return this.#call('bansSince', args)
  }

  banHistory(...args: Parameters<LimitStore['banHistory']>): ReturnType<LimitStore['banHistory']> {
    return this.#call('banHistory', args)
  }

  expireIdle(...args: Parameters<LimitStore['expireIdle']>): ReturnType<LimitStore['expireIdle']> {
    return this.#call('expireIdle', args)
  }

  look(...args: Parameters<LimitStore['look']>): ReturnType<LimitStore['look']> {
    return this.#call('look', args)
  }

  lookAfter(...args: Parameters<LimitStore['lookAfter']>): ReturnType<LimitStore['lookAfter']> {
    return this.#call('lookAfter', args)
  }

  #call<T>(method: Method, args: readonly unknown[]): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) {
        reject(new WeirError('STORAGE', 'the engine is gone'))
        return
      }
      const id = ++this.#lastId
      this.#pending.set(id, { resolve, reject })
      writeMessage(this.#socket, { id, method, args })
    })
  }
}
