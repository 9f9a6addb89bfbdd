import { rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { systemClock } from '../../src/core/clock.ts'
import { SILENT } from '../../src/core/probe.ts'
import { systemRandom } from '../../src/core/random.ts'
import { ConnectionPool } from '../../src/pool/connection-pool.ts'
import { poolSettings } from '../../src/pool/pool-options.ts'
import { listenReverse } from '../../src/transport/reverse/reverse-listener.ts'

/*
 * Holds connections and says what they cost: `idle-host bare|weir PATH`. `bare` accepts and reads; `weir` registers
 * agents that dial in and keeps them in a pool. Each line on standard input is answered with the bytes in use after
 * a garbage collection. Run with --expose-gc.
 */
const [, , kind, path = ''] = process.argv
let count = 0
if (kind === 'bare') {
  rmSync(path, { force: true })
  const server = createServer((socket) => {
    count++
    socket.on('data', () => undefined)
    socket.on('error', () => socket.destroy())
  })
  server.listen({ path, backlog: 4096 }, () => console.log('ready'))
} else {
  const around = { clock: systemClock, random: systemRandom, probe: SILENT }
  const pool = new ConnectionPool({ agent: 'idle', settings: poolSettings({ connections: 100_000 }), around })
  await listenReverse(`unix:${path}`, {
    proxyId: 'weir',
    proxyVersion: '0.6.54',
    maxPendingRegistrations: 10_000,
    admit: () => ({ isAdmitted: true, connectionId: 'bench' }),
    onConnection: (connection) => {
      count++
      pool.adopt(connection)
    },
  })
  console.log('ready')
}
createInterface({ input: process.stdin })
  .on('line', () => {
    globalThis.gc?.()
    globalThis.gc?.()
    const { heapUsed, external, rss } = process.memoryUsage()
    console.log(`used ${heapUsed + external} ${rss} ${count}`)
  })
  .on('close', () => process.exit(0))
