import { Counter, type Registry } from 'prom-client'
import type { LimiterStats } from '../proxy/limits/limiter-stats.ts'
import { oncePerTurn } from './once-per-turn.ts'
import { scrapedSeries } from './scraped-series.ts'

/**
 * What the limiter counts and holds, read at each scrape: the limiter alone writes these figures. Undefined while there
 * is no limiter yet; its series are then absent.
 */
export function registerLimitSeries(registry: Registry, read: () => LimiterStats | undefined): void {
  const stats = oncePerTurn(read)
  const registers = [registry]

  const { gauge, total } = scrapedSeries(registry, stats)
  gauge('weir_limit_buckets', 'Rate-limit buckets in memory.', (now) => now.size)
  gauge('weir_limit_buckets_max', 'Rate-limit buckets that memory may hold.', (now) => now.capacity)
  total('weir_limit_cache_hits_total', 'Checks whose bucket was in memory.', (now) => now.hits)
  total('weir_limit_cache_misses_total', 'Checks whose bucket was not in memory.', (now) => now.misses)
  total('weir_limit_cache_evictions_total', 'Buckets that left memory for others.', (now) => now.evictions)
  total('weir_limit_waits_total', 'Checks that waited for tokens from the store.', (now) => now.waits)
  total(
    'weir_limit_uncovered_total',
    'Checks allowed without tokens of the store, because it was out of reach.',
    (now) => now.uncovered,
  )
  gauge('weir_bans', 'Agents banned now.', (now) => now.bans)
  gauge(
    'weir_limit_checkpoint_age_seconds',
    'Time since every used bucket was settled with the store; absent before the first time.',
    (now) => (now.checkpointAgeMs === undefined ? undefined : now.checkpointAgeMs / 1000),
  )
  gauge(
    'weir_limit_store_rows',
    'Buckets in the store, at least so many: a large table is counted in passes; absent before the first step.',
    (now) => now.store.rows,
  )
  total('weir_limit_store_expired_total', 'Idle buckets that the store forgot.', (now) => now.store.expired)
  gauge('weir_limit_store_failing', '1 while the store is out of reach, else 0.', (now) =>
    Number(now.store.isFailing),
  )
  total('weir_limit_store_failures_total', 'Calls of the store that failed or came late.', (now) => {
    return now.store.failures
  })
  gauge('weir_limit_store_backlog', 'Calls and asks that the store has not answered.', (now) => {
    return now.store.backlog
  })
  new Counter({
    name: 'weir_limit_agent_denials_total',
    help: 'Checks that a limit of an agent denied; mode shadow: would have denied, but only counted.',
    labelNames: ['agent', 'limit', 'mode'] as const,
    registers,
    collect() {
      this.reset()
      for (const { agent, limit, denials, shadowDenials } of stats()?.limits ?? []) {
        this.inc({ agent, limit, mode: 'enforced' }, denials)
        this.inc({ agent, limit, mode: 'shadow' }, shadowDenials)
      }
    },
  })
  new Counter({
    name: 'weir_limit_denials_total',
    help: 'Checks that were denied, by reason; shadow: counted and let pass.',
    labelNames: ['reason'] as const,
    registers,
    collect() {
      this.reset()
      const denials = stats()?.denials
      if (denials === undefined) return
      this.inc({ reason: 'rate-limited' }, denials.rateLimited)
      this.inc({ reason: 'banned' }, denials.banned)
      this.inc({ reason: 'shadow' }, denials.shadow)
      this.inc({ reason: 'store' }, denials.store)
    },
  })
}
