import type { ReadinessCheck } from '../admin/views.ts'
import type { Clock } from '../core/clock.ts'
import type { Probe } from '../core/probe.ts'
import type { SessionStore } from '../pool/session-store.ts'
import type { LimitPlan } from '../proxy/limits/limit-scopes.ts'
import { Limiter } from '../proxy/limits/limiter.ts'
import { SqliteLimitStore } from '../store/limits/sqlite-limit-store.ts'
import { Store } from '../store/store.ts'
import type { AgentConfig, StorageConfig } from './config/config.ts'

/** Longest that a check waits for tokens from the file, milliseconds; far below any agent's timeout. */
const STORE_TIMEOUT_MS = 250

/** Durable facts and what is decided by them. */
export interface Storage {
  readonly store: Store
  readonly limiter: Limiter
  readonly sessions: SessionStore
  /** Whether what is decided now is also written. */
  readiness(): ReadinessCheck
  /** Puts what can change without a restart in force: all but the path. */
  configure(config: StorageConfig): void
  /** Gives tokens back and closes the file. */
  close(): Promise<void>
}

/** Rejects with STORAGE: the message names the file and the fix. */
export async function openStorage(
  config: StorageConfig,
  clock: Clock,
  probe: Probe,
  sessionTtlMs: (agent: string) => number,
): Promise<Storage> {
  const store = await Store.open({ path: config.path, clock, probe })
  try {
    const limiter = new Limiter({
      store: new SqliteLimitStore(store, clock),
      clock,
      probe,
      capacity: config.maxBuckets,
      onStoreFailure: config.onFailure,
      storeTimeoutMs: STORE_TIMEOUT_MS,
    })
    await limiter.start()
    return {
      store,
      limiter,
      sessions: storedSessions(store, clock, sessionTtlMs),
      readiness: () => readinessOf(store, limiter),
      configure({ maxBuckets, onFailure }) {
        limiter.resize(maxBuckets)
        limiter.onStoreFailure = onFailure
      },
      close: async () => {
        await limiter.drain()
        await store.close()
      },
    }
  } catch (error) {
    await store.close()
    throw error
  }
}

/** A disk that is slow once is no reason to be taken out of service; milliseconds. */
const GRACE_MS = 1000

/** A file that is locked, full, gone or whose thread is being started anew makes the process not ready. */
function readinessOf(store: Store, limiter: Limiter): ReadinessCheck {
  const { failingForMs, lastError } = limiter.storeHealth
  const problem =
    store.health.problem ?? (failingForMs >= GRACE_MS ? `${store.path}: ${lastError}` : undefined)
  if (problem === undefined) return { name: 'storage', isOk: true, detail: store.path }
  return {
    name: 'storage',
    isOk: false,
    detail: `${problem}; limits go by storage.onFailure: ${limiter.onStoreFailure}`,
  }
}

export function limitPlanOf(agents: readonly AgentConfig[]): LimitPlan {
  return {
    agents: new Map(agents.map(({ name, limits }) => [name, limits])),
  }
}

/** What stands in the file for a session that never ends, milliseconds: a thousand years. */
const NEVER_MS = 1000 * 365 * 86_400_000

/**
 * Sticky sessions in the file. A row expires by itself, so one left behind by a crash does no harm. `idleTtlMs`: Infinity
 * for an agent whose sessions never end; rows of others that it had before count as used just now.
 */
export function storedSessions(
  store: Store,
  clock: Clock,
  idleTtlMs: (agent: string) => number,
): SessionStore {
  const ttlMs = (agent: string): number => Math.min(idleTtlMs(agent), NEVER_MS)
  return {
    async load(agent) {
      const rows = await store.call('loadSessions', { agent, wallMs: clock.wallMs() })
      return rows.map(({ session, target, expiresWallMs }) => {
        const usedAtMs = expiresWallMs - ttlMs(agent)
        const lastUsedAtMs = usedAtMs < 0 ? clock.wallMs() : usedAtMs
        return { key: session, home: target, createdAtMs: lastUsedAtMs, lastUsedAtMs }
      })
    },
    async saveBatch(agent, { saved, removed }) {
      const rows = saved.map(({ key, home, lastUsedAtMs }) => ({
        agent,
        session: key,
        target: home,
        expiresWallMs: lastUsedAtMs + ttlMs(agent),
      }))
      await Promise.all([
        rows.length > 0 ? store.call('saveSessions', rows) : undefined,
        removed.length > 0
          ? store.call(
              'deleteSessions',
              removed.map((session) => ({ agent, session })),
            )
          : undefined,
      ])
    },
  }
}
