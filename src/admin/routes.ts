import { WeirError } from '../core/errors.ts'
import type { Operations } from './operations.ts'
import type { AdminAnswer, AdminRequest, AdminRoute } from './router.ts'
import type { ReadinessCheck } from './views.ts'

/** The admin API, one row per operation. */
export function adminRoutes(operations: Operations): readonly AdminRoute[] {
  const get = (path: string, answer: AdminRoute['answer']): AdminRoute => ({ method: 'GET', path, answer })

  return [
    /* Alive means that the event loop turns; nothing else may fail it, or an agent's outage restarts Weir. */
    get('/healthz', () => ({ text: 'ok\n', contentType: 'text/plain; charset=utf-8' })),
    get('/readyz', () => readiness(operations.readiness())),
    get('/metrics', async () => ({
      text: await operations.metrics.render(),
      contentType: operations.metrics.contentType,
    })),
    get('/v1/status', () => ({ json: operations.status() })),
    get('/v1/agents', () => ({ json: operations.agents() })),
    get('/v1/connections', (request) => ({ json: ofAgent(operations, operations.connections(), request) })),
    get('/v1/limits', (request) => ({ json: ofAgent(operations, operations.limits(), request) })),
    get('/v1/bans', async () => ({ json: await operations.bans() })),
    /* Of an agent that is not configured any more too. */
    get('/v1/bans/history', async ({ query }) => ({
      json: await operations.banHistory(query.get('agent') ?? undefined, HISTORY_LINES),
    })),
    {
      method: 'POST',
      path: '/v1/bans',
      answer: async (request) => {
        const { agent, reason, durationMs } = banOf(await request.body())
        const ban = await operations.ban({ agent, reason, durationMs, author: request.peer })
        operations.audit('ban', { agent, reason, durationMs, peer: request.peer })
        return { status: 201, json: ban }
      },
    },
    {
      method: 'DELETE',
      path: '/v1/bans/:agent',
      answer: async ({ params, peer }) => {
        const agent = agentOf(params)
        await operations.unban(agent, peer)
        operations.audit('unban', { agent, peer })
        return { json: { agent } }
      },
    },
    {
      method: 'POST',
      path: '/v1/agents/:agent/drain',
      answer: ({ params, peer }) => {
        const agent = agentOf(params)
        operations.drain(agent)
        operations.audit('drain', { agent, peer })
        return { status: 202, json: agentView(operations, agent) }
      },
    },
    {
      method: 'DELETE',
      path: '/v1/agents/:agent/drain',
      answer: ({ params, peer }) => {
        const agent = agentOf(params)
        operations.undrain(agent)
        operations.audit('undrain', { agent, peer })
        return { json: agentView(operations, agent) }
      },
    },
  ]
}

function readiness(checks: readonly ReadinessCheck[]): AdminAnswer {
  const isReady = checks.every((check) => check.isOk)
  const lines = checks.map((check) => `[${check.isOk ? '+' : '-'}] ${check.name}: ${check.detail}`)
  return {
    status: isReady ? 200 : 503,
    text: `${[...lines, isReady ? 'ready' : 'not ready'].join('\n')}\n`,
    contentType: 'text/plain; charset=utf-8',
  }
}

function ofAgent<T extends { readonly agent: string }>(
  operations: Operations,
  all: readonly T[],
  request: AdminRequest,
): readonly T[] {
  const agent = request.query.get('agent')
  if (agent === null) return all
  agentView(operations, agent)
  return all.filter((item) => item.agent === agent)
}

function agentOf(params: Readonly<Record<string, string>>): string {
  const { agent = '' } = params
  return agent
}

function agentView(operations: Operations, name: string): unknown {
  const view = operations.agents().find((agent) => agent.name === name)
  if (view === undefined) throw new WeirError('NOT_FOUND', `no agent is named "${name}"`)
  return view
}

const HISTORY_LINES = 100
const LONGEST_REASON = 500

function banOf(body: unknown): { agent: string; reason: string; durationMs: number | undefined } {
  const { agent, reason, durationMs, ...others } = (body ?? {}) as Record<string, unknown>
  const [unknown] = Object.keys(others)
  /* A misspelt duration would make the ban permanent. */
  if (unknown !== undefined)
    throw new WeirError('INVALID_ARGUMENT', `${unknown}: unknown; a ban has agent, reason and durationMs`)
  if (typeof agent !== 'string' || agent === '')
    throw new WeirError('INVALID_ARGUMENT', 'agent: expected the name of an agent; example: {"agent":"waf"}')
  if (reason !== undefined && (typeof reason !== 'string' || reason.length > LONGEST_REASON))
    throw new WeirError('INVALID_ARGUMENT', `reason: expected a text of at most ${LONGEST_REASON} characters`)
  if (
    durationMs !== undefined &&
    !(typeof durationMs === 'number' && durationMs > 0 && Number.isFinite(durationMs))
  )
    throw new WeirError(
      'INVALID_ARGUMENT',
      'durationMs: expected a number of milliseconds > 0; example: 60000',
    )
  return { agent, reason: reason ?? '', durationMs }
}
