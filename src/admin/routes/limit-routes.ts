import { WeirError } from '../../core/errors.ts'
import type { LimitKeysQuery, Operations } from '../operations.ts'
import type { AdminRoute } from '../router.ts'
import { agentName, wholeNumber } from './fields.ts'
import { revealOf } from './session-routes.ts'

const LIMIT = { least: 1, most: 1000, otherwise: 20 }

/** How the rate limits stand, for all agents and for single keys. */
export function limitRoutes(operations: Operations): readonly AdminRoute[] {
  return [
    {
      method: 'GET',
      path: '/v1/limits',
      answer: async ({ query }) => ({ json: await operations.limits(query.get('agent') ?? undefined) }),
    },
    {
      method: 'GET',
      path: '/v1/agents/:agent/limits/keys',
      answer: async ({ params, query, peer }) => {
        const agent = agentName(params['agent'])
        const reveal = revealOf(operations, 'limit-keys', { query, peer }, agent)
        const limit = wholeNumber('limit', query.get('limit'), LIMIT)
        const key = query.get('key') ?? undefined
        return {
          json: await operations.limitKeys(agent, { key, by: orderOf(query.get('by')), limit, ...reveal }),
        }
      },
    },
  ]
}

function orderOf(text: string | null): LimitKeysQuery['by'] {
  switch (text) {
    case null:
    case 'denials':
      return 'denials'
    case 'remaining':
      return 'remaining'
    default:
      throw new WeirError('INVALID_ARGUMENT', `by: expected denials or remaining, got "${text}"`)
  }
}
