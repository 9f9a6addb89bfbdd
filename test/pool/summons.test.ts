import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { seededRandom } from '../../src/core/random.ts'
import { ConnectionPool } from '../../src/pool/connection-pool.ts'
import { poolSettings } from '../../src/pool/pool-options.ts'
import type { PooledConnection } from '../../src/pool/pooled-connection.ts'
import { Registry } from '../../src/pool/registry.ts'
import type { SessionStore } from '../../src/pool/session-store.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { FakeConnection, FakeDialer, settled } from '../support/fake-connection.ts'
import { hints, NotingWaiter } from '../support/pool-fixture.ts'

/* The registry asks no pool that did not speak: whatever makes a visit urgent must make the pool speak. */

class Scene {
  readonly clock = new FakeClock()
  readonly dialer = new FakeDialer()
  readonly leases: PooledConnection[] = []
  readonly waiters: NotingWaiter[] = []
  /** Whether the store takes what it is given. */
  isStoring = true
  wasSummoned = false
  pool: ConnectionPool
  readonly #dialsIn: boolean

  constructor(dialsIn: boolean) {
    this.#dialsIn = dialsIn
    this.pool = this.#next()
    this.#enter()
  }

  #next(successorOf?: ConnectionPool): ConnectionPool {
    const sessionStore: SessionStore = {
      load: () => Promise.resolve([{ key: 'stored', home: 'h', createdAtMs: 0, lastUsedAtMs: 0 }]),
      saveBatch: () => (this.isStoring ? Promise.resolve() : Promise.reject(new Error('locked'))),
    }
    return new ConnectionPool({
      agent: 'waf',
      settings: poolSettings({ connections: 2, maxConcurrentPerConnection: 2, heartbeatMs: 5000 }),
      around: { clock: this.clock, random: seededRandom(3), probe: {}, sessionStore },
      ...(this.#dialsIn ? {} : { nextDialer: () => this.dialer }),
      successorOf,
    })
  }

  /** As the registry does it. */
  #enter(): void {
    this.wasSummoned = true
    this.pool.watch(() => {
      this.wasSummoned = true
    })
    this.pool.start()
  }

  /** A reload that takes a new pool; the old one drains, and its leases end when they end. */
  replace(): void {
    const old = this.pool
    this.pool = this.#next(old)
    this.#enter()
    void old.drain(this.clock.now() + 10_000)
  }
}

type Step = (scene: Scene, n: number) => void

const STEPS: Readonly<Record<string, Step>> = {
  lease({ pool, leases }, n) {
    const leased = pool.lease(hints(n % 2 === 0 ? {} : { sessionKey: `s${n % 3}` }))
    if (typeof leased !== 'string') leases.push(leased)
  },
  reply: ({ leases }) => leases.pop()?.release('replied', 1),
  fail: ({ leases }) => leases.shift()?.release('timeout', 0),
  wait({ pool, waiters }) {
    const waiter = new NotingWaiter()
    if (typeof pool.lease(waiter) === 'string' && pool.wait(waiter) === undefined) waiters.push(waiter)
  },
  withdraw({ pool, waiters }) {
    const waiter = waiters.shift()
    if (waiter !== undefined) pool.withdraw(waiter)
  },
  lose: ({ dialer }, n) => dialer.alive[n % 2]?.transitionTo('closed'),
  adopt({ pool, dialer }) {
    const connection = new FakeConnection()
    if (pool.adopt(connection) === undefined) dialer.connections.push(connection)
  },
  report: ({ dialer }, n) => dialer.alive[0]?.health({ state: n % 2 === 0 ? 'healthy' : 'draining' }),
  push: ({ pool }, n) => void pool.pushConfig({ n }),
  createSession: ({ pool, clock }, n) => void pool.sessions?.table.create(`s${n % 3}`, 'h', 0, clock.now()),
  clearSessions: ({ pool }) => pool.sessions?.table.clearAll(),
  lockStore(scene, n) {
    scene.isStoring = n % 2 === 0
  },
  retune({ pool }, n) {
    if (pool.canAdopt()?.code === 'CONFLICT') return
    const breaker = { consecutiveFailures: 1 + (n % 3) }
    pool.retune(poolSettings({ connections: 2, breaker, sessions: { idleTtlMs: 1000 * (n + 1) } }))
  },
  replace: (scene) => scene.replace(),
  pass: ({ clock }, n) => clock.advance(100 * n),
}

test('a pool whose next visit comes nearer summons the registry, whatever brought it nearer', async () => {
  const step = fc.tuple(fc.constantFrom(...Object.keys(STEPS)), fc.nat({ max: 30 }))
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.array(step, { maxLength: 60 }), async (dialsIn, steps) => {
      const scene = new Scene(dialsIn)
      /* The instant that the registry knows of. */
      let known = Number.POSITIVE_INFINITY
      for (const [name, n] of [...steps, ['pass', 0] as const]) {
        STEPS[name]!(scene, n)
        await settled()
        if (!scene.wasSummoned) assert.ok(scene.pool.visitAt >= known, `${name} ${n} was not told`)
        /* Some summons are answered at once, others wait for the timer. */
        if (n % 2 === 1 || !scene.wasSummoned) continue
        scene.wasSummoned = false
        const now = scene.clock.now()
        if (scene.pool.visitAt <= now) scene.pool.visit(now)
        known = scene.pool.visitAt
      }
    }),
    { numRuns: 400 },
  )
})

test('ten thousand idle agents are not even asked between their visits, and one that turns urgent is visited within a second', async () => {
  const clock = new FakeClock()
  const registry = new Registry(clock, (error) => {
    throw error
  })
  let asked = 0
  let visits = 0
  class CountingPool extends ConnectionPool {
    override get visitAt(): number {
      asked++
      return super.visitAt
    }

    override visit(now: number): void {
      visits++
      super.visit(now)
    }
  }
  const around = { clock, random: seededRandom(1), probe: {} }
  for (let n = 0; n < 10_000; n++)
    registry.add(new CountingPool({ agent: `agent-${n}`, settings: poolSettings(), around }))
  clock.advance(1000)
  asked = 0
  for (let second = 0; second < 60; second++) clock.advance(1000)
  assert.equal(asked, 0)
  assert.equal(visits, 0)
  const pool = registry.get('agent-77')!
  pool.pushConfig({ rules: [] })
  clock.advance(1000)
  assert.equal(visits, 1)
  await registry.drain(clock.now() + 1000)
})

test('what a pool that was replaced learns while it drains brings its successor a visit', async () => {
  const clock = new FakeClock()
  const registry = new Registry(clock, (error) => {
    throw error
  })
  const settings = poolSettings({ connections: 1, breaker: { consecutiveFailures: 1 } })
  const around = { clock, random: seededRandom(1), probe: {} }
  const dialer = new FakeDialer()
  const parts = { agent: 'waf', settings, around, nextDialer: () => dialer }
  const old = new ConnectionPool(parts)
  registry.add(old)
  await settled()
  const leased = old.lease(hints())
  assert.ok(typeof leased !== 'string')
  const fresh = new ConnectionPool({ ...parts, successorOf: old })
  const gone = registry.replace(fresh, clock.now() + 60_000)
  await settled()
  clock.advance(1000)
  await settled()
  leased.release('timeout', 0)
  await gone
  const pings = (): number => dialer.alive.reduce((sum, one) => sum + one.pings, 0)
  assert.equal(pings(), 0)
  clock.advance(1000)
  assert.equal(pings(), 1)
  await registry.drain(clock.now() + 1000)
})
