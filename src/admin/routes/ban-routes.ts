import { WeirError } from '../../core/errors.ts'
import type { Operations } from '../operations.ts'
import type { AdminRoute } from '../router.ts'
import { agentName, authorName, banDurationMs, members, reasonText, wholeNumber } from './fields.ts'

const HISTORY_LINES = { least: 1, most: 1000, otherwise: 100 }

/** Bans, by whom and why. Who asks may name itself; the audit line has the peer besides. */
export function banRoutes(operations: Operations): readonly AdminRoute[] {
  return [
    { method: 'GET', path: '/v1/bans', answer: async () => ({ json: await operations.bans() }) },
    {
      method: 'GET',
      path: '/v1/bans/history',
      /* Of an agent that is not configured any more too. */
      answer: async ({ query }) => ({
        json: await operations.banHistory(
          query.get('agent') ?? undefined,
          wholeNumber('limit', query.get('limit'), HISTORY_LINES),
        ),
      }),
    },
    {
      method: 'POST',
      path: '/v1/bans',
      answer: async (request) => {
        const { peer } = request
        const body = members(await request.body(), 'a ban', ['agent', 'reason', 'author', 'durationMs'])
        const agent = agentName(body['agent'])
        const reason = reasonText(body['reason'])
        const author = authorName(body['author'], peer)
        const durationMs = banDurationMs(body['durationMs'])
        const facts = { agent, reason, author, durationMs, peer }
        try {
          const ban = await operations.ban({ agent, reason, author, durationMs })
          operations.audit('ban', facts)
          return { status: 201, json: ban }
        } catch (error) {
          /* It is in force all the same, and is written once the store answers. */
          if (error instanceof WeirError && error.code === 'STORAGE')
            operations.audit('ban', { ...facts, isWritten: false })
          throw error
        }
      },
    },
    {
      method: 'DELETE',
      path: '/v1/bans/:agent',
      answer: async (request) => {
        const { params, peer } = request
        const body = members(await request.body(), 'an unban', ['reason', 'author'])
        const agent = agentName(params['agent'])
        const reason = reasonText(body['reason'])
        const author = authorName(body['author'], peer)
        const lift = await operations.unban({ agent, reason, author })
        operations.audit('unban', { agent, reason, author, peer, wasBanned: lift.wasBanned })
        return { json: lift }
      },
    },
  ]
}
