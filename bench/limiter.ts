import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { RateLimiterMemory } from 'rate-limiter-flexible'
import { systemClock } from '../src/core/clock.ts'
import { SILENT } from '../src/core/probe.ts'
import type { LimitRequest } from '../src/proxy/limits/limit-gate.ts'
import type { LimitStore } from '../src/proxy/limits/limit-store.ts'
import { Limiter } from '../src/proxy/limits/limiter.ts'
import { SqliteLimitStore } from '../src/store/limits/sqlite-limit-store.ts'
import { Store } from '../src/store/store.ts'
import { type BenchOptions, type BenchResult, type Row, row } from './harness/result.ts'
import { interleave, median, pairedRatio } from './harness/statistics.ts'

/** Checks of one turn of the event loop: as many as a busy front end makes between two looks at its sockets. */
const PER_TURN = 200

/**
 * The limiter with its buckets in a file, against the fixed-window limiter in memory that people use; what eviction
 * costs in a large cache; and whether a checkpoint of 100,000 buckets is felt on the event loop.
 */
export async function run({ quick }: BenchOptions): Promise<BenchResult> {
  /* The million buckets come last: their garbage would be collected during the others. */
  const settled = await checkpoint(quick)
  const rows = [await checks(quick), settled, await evictions(quick)]
  return { bench: 'limiter', rows }
}

function requests(count: number, prefix = 'session'): LimitRequest[] {
  return Array.from({ length: count }, (_, index) => ({
    agentName: 'waf',
    facts: { clientIp: '127.0.0.1', sessionKey: `${prefix} ${index}` },
    routeName: 'api',
    payloadBytes: 0,
  }))
}

function limiterOn(store: LimitStore, capacity: number, ratePerSecond: number): Limiter {
  const limiter = new Limiter({
    store,
    clock: systemClock,
    probe: SILENT,
    capacity,
    onStoreFailure: 'deny',
    storeTimeoutMs: 10_000,
  })
  const rule = { name: 'events', key: { by: 'session' }, cost: 'event', shadow: false } as const
  limiter.configure({ agents: new Map([['waf', [{ ...rule, ratePerSecond, burst: ratePerSecond }]]]) })
  return limiter
}

async function withFile<T>(work: (limitStore: SqliteLimitStore) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'weir-bench-'))
  const store = await Store.open({ path: join(folder, 'weir.db'), maxPending: 1_000_000 })
  try {
    return await work(new SqliteLimitStore(store, systemClock))
  } finally {
    await store.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function checks(quick: boolean): Promise<Row> {
  const turns = quick ? 50 : 10_000
  const asked = requests(1000)
  const results = await withFile(async (limitStore) => {
    const limiter = limiterOn(limitStore, 10_000, 1e7)
    await limiter.start()
    let waited = 0
    const peer = new RateLimiterMemory({ points: 1e9, duration: 1000 })
    const measured = await interleave(quick ? 1 : 5, {
      weir: async () => {
        /* While the other had its turn, these buckets rested and their leases evaporated. */
        await Promise.all(asked.map((request) => Promise.resolve(limiter.check(request))))
        const before = limiter.stats.waits
        const startedAt = performance.now()
        let denied = 0
        let next = 0
        for (let count = 0; count < turns; count++) {
          for (let index = 0; index < PER_TURN; index++) {
            next = next === asked.length - 1 ? 0 : next + 1
            const verdict = limiter.check(asked[next]!)
            if (!(verdict instanceof Promise ? await verdict : verdict).allowed) denied++
          }
          if (count % 10 === 0) await turn()
        }
        const tookMs = performance.now() - startedAt
        if (denied > 0) throw new Error(`${denied} checks were denied`)
        waited += limiter.stats.waits - before
        return (turns * PER_TURN) / (tookMs / 1000)
      },
      peer: async () => {
        const startedAt = performance.now()
        let next = 0
        for (let count = 0; count < turns; count++) {
          for (let index = 0; index < PER_TURN; index++) {
            next = next === asked.length - 1 ? 0 : next + 1
            await peer.consume(asked[next]!.facts.sessionKey ?? '')
          }
          if (count % 10 === 0) await turn()
        }
        return (turns * PER_TURN) / ((performance.now() - startedAt) / 1000)
      },
    })
    const { hits } = limiter.stats
    await limiter.drain()
    return { measured, waited, hits }
  })
  const { weir = [], peer = [] } = results.measured
  return row('checks/s in a file, vs rate-limiter-flexible in memory', pairedRatio(weir, peer), 3, {
    weir: median(weir),
    peer: median(peer),
    waited: results.waited,
    checks: results.hits,
  })
}

async function evictions(quick: boolean): Promise<Row> {
  const large = quick ? 10_000 : 1_000_000
  const count = quick ? 1000 : 20_000
  const full = async (store: SqliteLimitStore, capacity: number): Promise<Limiter> => {
    const limiter = limiterOn(store, capacity, 100)
    await askAll(limiter, requests(capacity, 'resident'))
    return limiter
  }
  let round = 0
  /* As in a daemon: a newcomer is read from the file, the one that leaves is given back to it. */
  const measure = async (limiter: Limiter): Promise<number> => {
    const asked = requests(count, `newcomer ${round++}`)
    await turn()
    const startedAt = performance.now()
    await askAll(limiter, asked)
    return count / ((performance.now() - startedAt) / 1000)
  }
  const { results, evicted } = await withFile((smallFile) =>
    withFile(async (largeFile) => {
      const [small, big] = [await full(smallFile, 1000), await full(largeFile, large)]
      const contestants = { big: () => measure(big), small: () => measure(small) }
      const measured = await interleave(quick ? 1 : 5, contestants)
      const { evictions: gone } = big.stats
      await Promise.all([small.drain(), big.drain()])
      return { results: measured, evicted: gone }
    }),
  )
  const { big: atLarge = [], small: atSmall = [] } = results
  /*
   * Flat: not a matter of how many there are. A tree of a million rows is two levels deeper than one of a thousand and
   * does not fit into caches, so half the pace is still flat; a cost that grows with the number would show as 0.001.
   */
  return row(`evictions/s among ${large} buckets, vs among 1,000`, pairedRatio(atLarge, atSmall), 0.5, {
    large: median(atLarge),
    small: median(atSmall),
    evictions: evicted,
  })
}

/** A thousand at a time, as many as come in while the file is written to. */
async function askAll(limiter: Limiter, asked: readonly LimitRequest[]): Promise<void> {
  for (let start = 0; start < asked.length; start += 1000)
    await Promise.all(
      asked.slice(start, start + 1000).map((request) => Promise.resolve(limiter.check(request))),
    )
}

async function checkpoint(quick: boolean): Promise<Row> {
  const agents = quick ? 2000 : 100_000
  const asked = requests(agents)
  const idle = createHistogram()
  const busy = createHistogram()
  const tookMs = await withFile(async (limitStore) => {
    const limiter = limiterOn(limitStore, agents, 1000)
    await askAll(limiter, asked)
    const took: number[] = []
    for (let round = 0; round < (quick ? 1 : BUSY_WINDOWS); round++) {
      for (let window = 0; window < IDLE_WINDOWS; window++)
        await watched(idle, () => sleep(took.length === 0 ? 500 : median(took)))
      await askAll(limiter, asked)
      await sleep(200)
      const startedAt = performance.now()
      await watched(busy, () => limiter.checkpoint())
      took.push(performance.now() - startedAt)
    }
    await limiter.drain()
    return median(took)
  })
  const [busyMs, idleMs] = [busy, idle].map((histogram) => histogram.percentile(99) / 1e6) as [number, number]
  const name = `event loop p99 while ${agents} dirty buckets are settled, vs idle`
  const detail = {
    busyMs,
    idleMs,
    busyMaxMs: busy.max / 1e6,
    idleMaxMs: idle.max / 1e6,
    checkpointMs: tookMs,
    busySamples: busy.count,
    idleSamples: idle.count,
  }
  return row(name, busyMs / idleMs, 2, detail, true)
}

/** Windows of both kinds take turns, and all samples of a kind make one percentile: one window holds few beyond a p99. */
const BUSY_WINDOWS = 8
/** Before each busy one, each as long as one. */
const IDLE_WINDOWS = 3

/** Adds how far apart the calls of a 1 ms timer were during `work`, nanoseconds: how long the event loop was held up. */
async function watched(into: RecordableHistogram, work: () => Promise<void>): Promise<void> {
  let before = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    into.record(Math.max(1, Math.round((now - before) * 1e6)))
    before = now
  }, 1)
  await work()
  clearInterval(timer)
}
