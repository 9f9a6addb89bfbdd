import { systemClock } from '../../src/core/clock.ts'
import { seededRandom } from '../../src/core/random.ts'
import type { StrategyName } from '../../src/policy/picker.ts'
import { ConnectionPool } from '../../src/pool/connection-pool.ts'
import { poolSettings } from '../../src/pool/pool-options.ts'
import { QuietConnection } from './quiet-connection.ts'

/** A pool as shipped, over connections without sockets; all but `open` of them are paused by their agent. */
export function quietPool(
  agent: string,
  strategy: StrategyName,
  connections: number,
  open = connections,
): ConnectionPool {
  const settings = poolSettings({ connections, strategy, slowStartMs: 0, heartbeatMs: 0 })
  const around = { clock: systemClock, random: seededRandom(connections), probe: {} }
  const pool = new ConnectionPool({ agent, settings, around })
  for (let index = 0; index < connections; index++) {
    const connection = new QuietConnection()
    const refused = pool.adopt(connection)
    if (refused !== undefined) throw refused
    /* Spread over the pool, as agents that are busy are. */
    if (Math.floor(((index + 1) * open) / connections) === Math.floor((index * open) / connections))
      connection.pause()
  }
  return pool
}
