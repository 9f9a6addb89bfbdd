import { systemClock } from '../../core/clock.ts'
import { WeirError } from '../../core/errors.ts'
import { AgentLinks } from '../agent-end/agent-links.ts'
import { parseEndpoint } from '../endpoint.ts'
import type { AgentEndOptions, Listener } from '../proxy-link.ts'
import { agentServiceRoutes } from './agent-service.ts'
import { listenGrpcJs } from './grpc-js-server.ts'
import type { GrpcListenerOptions } from './grpc-options.ts'
import { HEALTH_CHECK_PATH, serveHealthCheck } from './health-service.ts'
import { listenHttp2 } from './http2-server.ts'

/** Long enough for clients that connect ahead of their first request. */
const FIRST_CALL_TIMEOUT_MS = 60_000

/**
 * Serves an agent over gRPC.
 * @param address `host:port` or `grpc://host:port`; `grpcs://` needs `options.tls`. Port 0 picks a free one.
 */
export async function listenGrpc(
  address: string,
  agent: AgentEndOptions,
  options: GrpcListenerOptions = {},
): Promise<Listener> {
  const endpoint = parseEndpoint(address.includes('://') ? address : `grpc://${address}`)
  if (endpoint.kind !== 'grpc')
    throw new WeirError('INVALID_ARGUMENT', `"${address}" is not a gRPC address; expected host:port`)
  const { host, port, security } = endpoint
  const { tls } = options
  if (security !== 'plaintext' && tls === undefined)
    throw new WeirError('INVALID_ARGUMENT', `"${address}" needs a certificate and key (tls)`)
  if (options.implementation === 'grpc-js') return listenGrpcJs({ host, port, tls }, agent, options)
  const links = new AgentLinks()
  const clock = options.clock ?? systemClock
  const routes = agentServiceRoutes(agent, links, clock, options.limits)
  return listenHttp2({
    host,
    port,
    tls,
    routes: new Map([...routes, [HEALTH_CHECK_PATH, serveHealthCheck], ...(options.services ?? [])]),
    clock,
    newcomers: {
      max: options.maxNewcomers,
      timeoutMs: options.firstCallTimeoutMs ?? FIRST_CALL_TIMEOUT_MS,
      clock,
      onDropped: options.onDropped,
    },
    reusesMemory: agent.reusesBodyMemory === true,
    closeCalls: () => links.closeAll(),
  })
}
