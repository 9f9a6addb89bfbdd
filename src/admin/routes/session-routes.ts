import { WeirError } from '../../core/errors.ts'
import type { Operations, Reveal } from '../operations.ts'
import type { AdminRequest, AdminRoute } from '../router.ts'
import { agentName, members, wholeNumber } from './fields.ts'

const LIMIT = { least: 1, most: 1000, otherwise: 50 }
/** Passing over an entry costs a step; this many stay below a few milliseconds. */
const OFFSET = { least: 0, most: 100_000, otherwise: 0 }
const CONNECTION = { least: 1, most: Number.MAX_SAFE_INTEGER, otherwise: 1 }

/** Sticky sessions of an agent: looked at without prolonging them, started, ended. */
export function sessionRoutes(operations: Operations): readonly AdminRoute[] {
  const one = '/v1/agents/:agent/sessions/:key'
  const all = '/v1/agents/:agent/sessions'
  return [
    { method: 'GET', path: '/v1/sessions', answer: () => ({ json: operations.sessions() }) },
    {
      method: 'GET',
      path: all,
      answer: ({ params, query, peer }) => {
        const agent = agentName(params['agent'])
        const reveal = revealOf(operations, 'sessions', { query, peer }, agent)
        const limit = wholeNumber('limit', query.get('limit'), LIMIT)
        const offset = wholeNumber('offset', query.get('offset'), OFFSET)
        return { json: operations.sessionPage(agent, { limit, offset, ...reveal }) }
      },
    },
    {
      method: 'GET',
      path: one,
      answer: ({ params, query, peer }) => {
        const agent = agentName(params['agent'])
        const reveal = revealOf(operations, 'sessions', { query, peer }, agent)
        return { json: operations.session(agent, params['key'] ?? '', reveal) }
      },
    },
    {
      method: 'POST',
      path: all,
      answer: async (request) => {
        const { params, peer } = request
        const agent = agentName(params['agent'])
        const { key, connection } = members(await request.body(), 'a session', ['key', 'connection'])
        if (typeof key !== 'string' || key === '')
          throw new WeirError(
            'INVALID_ARGUMENT',
            'key: expected the key of a session; example: {"key":"u-17"}',
          )
        if (connection !== undefined && typeof connection !== 'number')
          throw new WeirError('INVALID_ARGUMENT', 'connection: expected the id of a connection; example: 3')
        const id = connection === undefined ? undefined : wholeNumber('connection', connection, CONNECTION)
        const session = await operations.createSession(agent, { key, connection: id, isRevealed: false })
        operations.audit('create-session', { agent, session: session.key, home: session.home, peer })
        return { status: 201, json: session }
      },
    },
    {
      method: 'DELETE',
      path: one,
      answer: async ({ params, peer }) => {
        const agent = agentName(params['agent'])
        const cleared = Number(await operations.clearSession(agent, params['key'] ?? ''))
        operations.audit('clear-session', { agent, cleared, peer })
        return { json: { agent, cleared } }
      },
    },
    {
      method: 'DELETE',
      path: all,
      answer: async ({ params, peer }) => {
        const agent = agentName(params['agent'])
        const cleared = await operations.clearSessions(agent)
        operations.audit('clear-sessions', { agent, cleared, peer })
        return { json: { agent, cleared } }
      },
    },
  ]
}

/** Whether keys are asked for in full; that is noted, as they may be credentials. */
export function revealOf(
  operations: Operations,
  what: string,
  { query, peer }: Pick<AdminRequest, 'query' | 'peer'>,
  agent: string,
): Reveal {
  const isRevealed = query.get('reveal') === 'true'
  if (isRevealed) operations.audit(`reveal-${what}`, { agent, peer })
  return { isRevealed }
}
