import type { Operations } from '../operations.ts'
import type { AdminAnswer, AdminRoute } from '../router.ts'
import type { ReadinessCheck } from '../views.ts'
import { agentRoutes } from './agent-routes.ts'
import { banRoutes } from './ban-routes.ts'
import { limitRoutes } from './limit-routes.ts'
import { sessionRoutes } from './session-routes.ts'

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
    {
      method: 'POST',
      path: '/v1/reload',
      answer: async ({ peer }) => {
        operations.audit('reload', { peer })
        return { json: await operations.reload() }
      },
    },
    ...agentRoutes(operations),
    ...limitRoutes(operations),
    ...banRoutes(operations),
    ...sessionRoutes(operations),
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
