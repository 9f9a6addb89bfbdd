import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../src/core/clock.ts'
import { SILENT } from '../../src/core/probe.ts'
import { systemRandom } from '../../src/core/random.ts'
import type { AgentReply } from '../../src/core/reply.ts'
import { ConnectionPool } from '../../src/pool/connection-pool.ts'
import { poolSettings } from '../../src/pool/pool-options.ts'
import type { PendingReply } from '../../src/transport/connection.ts'
import { listenReverse } from '../../src/transport/reverse/reverse-listener.ts'
import { requestHeaders } from '../harness/events.ts'

/*
 * Holds connections and says what they cost: `idle-host bare|weir PATH`. `bare` accepts sockets and answers a greeting;
 * `weir` registers agents that dial in and keeps them in a pool. Commands, a line each on standard input:
 *   work    one event (bare: one message) goes out on every connection and is answered
 *   rest    all connections at once: a heartbeat (bare: one message), answered
 *   used    bytes in use after garbage collections: JavaScript heap, and all memory of the process
 * Run with --expose-gc.
 */
const [, , kind, path = ''] = process.argv

interface Held {
  readonly count: () => number
  readonly work: () => Promise<void>
  readonly rest: () => Promise<void>
}

function holdBare(): Held {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    socket.on('data', () => undefined)
    socket.once('data', () => {
      sockets.push(socket)
      socket.write('welcome')
    })
    socket.on('error', () => socket.destroy())
  })
  server.listen({ path, backlog: 4096 }, () => console.log('ready'))
  return {
    count: () => sockets.length,
    work: () =>
      inTurn(sockets, (socket) => {
        socket.write('event')
        return once(socket, 'data')
      }),
    async rest() {
      const answers = sockets.map((socket) => once(socket, 'data'))
      for (const socket of sockets) socket.write('ping')
      await Promise.all(answers)
    },
  }
}

async function holdWeir(): Promise<Held> {
  const ids: number[] = []
  const { heartbeatMs } = poolSettings()
  let visitAt = systemClock.now()
  const pool = new ConnectionPool({
    agent: 'idle',
    settings: poolSettings({
      connections: 100_000,
      strategy: 'round-robin',
      slowStartMs: 0,
    }),
    around: { clock: systemClock, random: systemRandom, probe: SILENT },
  })
  await listenReverse(`unix:${path}`, {
    proxyId: 'weir',
    proxyVersion: '0.6.54',
    admit: () => ({ isAdmitted: true, connectionId: 'bench' }),
    onConnection(connection) {
      ids.push(connection.id)
      pool.adopt(connection)
    },
  })
  console.log('ready')
  return {
    count: () => ids.length,
    work: () => inTurn(ids, (id) => ask(pool, id)),
    async rest() {
      /* As if the heartbeat's interval had passed. */
      visitAt += 100 * heartbeatMs
      pool.visit(visitAt)
      const isPinged = (id: number): boolean => (pool.find(id)?.aliveAt ?? 0) >= visitAt
      while (!ids.every(isPinged)) await sleep(50)
    },
  }
}

/** One event on this connection, and its reply. */
async function ask(pool: ConnectionPool, id: number): Promise<void> {
  const correlationId = `work-${id}`
  const hints = { correlationId, sessionKey: undefined, pinnedTo: id, avoid: 0, isBody: false }
  const leased = pool.lease(hints)
  if (typeof leased === 'string') throw new Error(`no connection: ${leased}`)
  await new Promise<AgentReply>((onReply, onLost) => {
    const pending: PendingReply = { correlationId, nextSameId: null, onReply, onLost }
    leased.connection.send(requestHeaders(correlationId), pending)
  })
  leased.release('replied', 1)
}

/** A few at a time: it is the connections that are measured, not a burst of work. */
async function inTurn<T>(all: readonly T[], work: (one: T) => Promise<unknown>): Promise<void> {
  for (let at = 0; at < all.length; at += 32) await Promise.all(all.slice(at, at + 32).map(work))
}

/**
 * Brings the young generation to its full size, which is a reserve of the process: grown by one side alone, it would
 * count as the cost of connections.
 */
function fillYoungGeneration(): void {
  for (let round = 0; round < 20; round++) {
    const kept: object[] = []
    for (let n = 0; n < 200_000; n++) kept.push({ n })
  }
}

fillYoungGeneration()
const held = kind === 'bare' ? holdBare() : await holdWeir()

async function used(): Promise<string> {
  for (let round = 0; round < 8; round++) {
    globalThis.gc?.()
    await sleep(25)
  }
  const { heapUsed, external, rss } = process.memoryUsage()
  return `used ${heapUsed + external} ${rss} ${held.count()}`
}

async function obey(command: string): Promise<string> {
  if (command === 'used') return used()
  await (command === 'work' ? held.work() : held.rest())
  return 'done'
}

createInterface({ input: process.stdin })
  .on('line', (command) => void obey(command).then((answer) => console.log(answer)))
  .on('close', () => process.exit(0))
