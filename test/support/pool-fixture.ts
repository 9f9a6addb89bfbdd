import type { WeirError } from '../../src/core/errors.ts'
import type { Probe } from '../../src/core/probe.ts'
import { seededRandom } from '../../src/core/random.ts'
import { ConnectionPool } from '../../src/pool/connection-pool.ts'
import type { LeaseHints, LeaseWaiter } from '../../src/pool/lease.ts'
import { type PoolOptions, poolSettings } from '../../src/pool/pool-options.ts'
import type { PooledConnection } from '../../src/pool/pooled-connection.ts'
import { FakeClock } from './fake-clock.ts'
import { type FakeConnection, FakeDialer, settled } from './fake-connection.ts'

/** What a lease may look at, with nothing wished for. */
export function hints(wishes: Partial<LeaseHints> = {}): LeaseHints {
  return { correlationId: 'c', sessionKey: undefined, pinnedTo: 0, avoid: 0, ...wishes }
}

/** A caller that notes what became of it. */
export class NotingWaiter implements LeaseWaiter {
  readonly correlationId: string
  readonly sessionKey: string | undefined
  readonly pinnedTo: number
  readonly avoid: number
  readonly isBody: boolean | undefined
  readonly bodyBytes: number | undefined
  flowSerial = 0
  waiterPrev: LeaseWaiter | null = null
  waiterNext: LeaseWaiter | null = null
  isWaiting = false
  leased: PooledConnection | undefined
  refused: WeirError | undefined
  calls = 0
  readonly #then: ((waiter: NotingWaiter) => void) | undefined

  constructor(wishes: Partial<LeaseHints> = {}, then?: (waiter: NotingWaiter) => void) {
    const all = hints(wishes)
    this.correlationId = all.correlationId
    this.sessionKey = all.sessionKey
    this.pinnedTo = all.pinnedTo
    this.avoid = all.avoid
    this.isBody = all.isBody
    this.bodyBytes = all.bodyBytes
    this.#then = then
  }

  onLeased(connection: PooledConnection): void {
    this.calls++
    this.leased = connection
    this.#then?.(this)
  }

  onRefused(error: WeirError): void {
    this.calls++
    this.refused = error
    this.#then?.(this)
  }
}

export interface PoolFixture {
  readonly pool: ConnectionPool
  readonly clock: FakeClock
  readonly dialer: FakeDialer
  /** Leases or fails. */
  readonly lease: (wishes?: Partial<LeaseHints>) => PooledConnection
  /** Moves time on and lets dials end. */
  readonly pass: (ms: number) => Promise<void>
  /** The fake behind a leased connection. */
  readonly fake: (connection: PooledConnection) => FakeConnection
}

/** A started pool over a fake dialer; slow start is off unless asked for, so that spreads are exact. */
export async function startedPool(options: PoolOptions = {}, probe: Probe = {}): Promise<PoolFixture> {
  const clock = new FakeClock()
  const dialer = new FakeDialer()
  const settings = poolSettings({ slowStartMs: 0, ...options })
  const around = { clock, random: seededRandom(7), probe }
  const pool = new ConnectionPool({ agent: 'waf', settings, around, nextDialer: () => dialer })
  pool.start()
  await settled()
  return {
    pool,
    clock,
    dialer,
    lease: (wishes = {}) => {
      const all = hints(wishes)
      const leased = pool.lease(all)
      wishes.flowSerial = all.flowSerial ?? 0
      if (typeof leased === 'string') throw new Error(`refused: ${leased}`)
      return leased
    },
    pass: async (ms) => {
      clock.advance(ms)
      await settled()
    },
    fake: (connection) => connection.connection as FakeConnection,
  }
}
