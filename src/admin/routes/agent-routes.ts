import { WeirError } from '../../core/errors.ts'
import type { Operations } from '../operations.ts'
import type { AdminRequest, AdminRoute } from '../router.ts'
import { agentName, members, wholeNumber } from './fields.ts'

const PUSHES = { least: 1, most: 1000, otherwise: 20 }

/** Agents and their connections; drains; configurations that are pushed to them. */
export function agentRoutes(operations: Operations): readonly AdminRoute[] {
  return [
    {
      method: 'GET',
      path: '/v1/agents',
      answer: (request) => ({ json: ofAgent(operations, operations.agents(), ({ name }) => name, request) }),
    },
    {
      method: 'GET',
      path: '/v1/connections',
      answer: (request) => ({
        json: ofAgent(operations, operations.connections(), ({ agent }) => agent, request),
      }),
    },
    {
      method: 'POST',
      path: '/v1/agents/:agent/drain',
      answer: ({ params, peer }) => {
        const agent = agentName(params['agent'])
        operations.drain(agent)
        operations.audit('drain', { agent, peer })
        return { status: 202, json: agentView(operations, agent) }
      },
    },
    {
      method: 'DELETE',
      path: '/v1/agents/:agent/drain',
      answer: ({ params, peer }) => {
        const agent = agentName(params['agent'])
        operations.undrain(agent)
        operations.audit('undrain', { agent, peer })
        return { json: agentView(operations, agent) }
      },
    },
    {
      method: 'GET',
      path: '/v1/pushes',
      answer: ({ query }) => ({
        json: operations.pushes(
          query.get('agent') ?? undefined,
          wholeNumber('limit', query.get('limit'), PUSHES),
        ),
      }),
    },
    {
      method: 'POST',
      path: '/v1/pushes',
      answer: async (request) => {
        const body = members(await request.body(), 'a push', ['agent'])
        const agent = body['agent'] === undefined ? undefined : agentName(body['agent'])
        const begun = operations.push(agent)
        operations.audit('push', {
          agents: begun.pushes.map((push) => push.agent),
          peer: request.peer,
        })
        return { status: 202, json: begun }
      },
    },
  ]
}

function ofAgent<T>(
  operations: Operations,
  all: readonly T[],
  nameOf: (item: T) => string,
  request: AdminRequest,
): readonly T[] {
  const agent = request.query.get('agent')
  if (agent === null) return all
  agentView(operations, agent)
  return all.filter((item) => nameOf(item) === agent)
}

function agentView(operations: Operations, name: string): unknown {
  const view = operations.agents().find((agent) => agent.name === name)
  if (view === undefined) throw new WeirError('NOT_FOUND', `no agent is named "${name}"`)
  return view
}
