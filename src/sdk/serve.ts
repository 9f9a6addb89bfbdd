import { listenGrpc } from '../transport/grpc/grpc-listener.ts'
import type { GrpcImplementation } from '../transport/grpc/grpc-options.ts'
import type { TlsServerOptions } from '../transport/tls-options.ts'
import { listenUds } from '../transport/uds/uds-listener.ts'
import type { Encoding } from '../wire/codec.ts'
import type { Agent } from './agent.ts'
import { agentEnd } from './agent-end.ts'
import type { AgentOptions } from './agent-options.ts'
import type { RunningAgent } from './running-agent.ts'

export interface ServeUdsOptions extends AgentOptions {
  /** Mode of the socket file. Default 0o600: a proxy that runs as another user needs 0o660 and a common group. */
  readonly mode?: number | undefined
  /** Encodings this agent may choose. Default both; MessagePack only for proxies known to write it soundly. */
  readonly encodings?: readonly Encoding[] | undefined
}

export interface ServeGrpcOptions extends AgentOptions {
  /** Certificate and key; with `clientCa`, proxies must show a certificate of their own. Default: plaintext. */
  readonly tls?: TlsServerOptions | undefined
  /** Default `http2`, the fast one. */
  readonly implementation?: GrpcImplementation | undefined
}

/**
 * Serves an agent on a Unix socket. Rejects with INVALID_ARGUMENT, or CONFLICT when the path is taken.
 * @param path `/run/waf.sock` or `unix:/run/waf.sock`
 */
export async function serveUds<S extends object = Record<string, unknown>>(
  path: string,
  agent: Agent<S>,
  options: ServeUdsOptions = {},
): Promise<RunningAgent> {
  const end = agentEnd(agent, options)
  const { mode, encodings } = options
  const listener = await listenUds(path.replace(/^unix:/, ''), end.options, {
    clock: end.clock,
    ...(mode !== undefined && { mode }),
    ...(encodings !== undefined && { encodings }),
  })
  return end.run({ address: listener.address, port: listener.port, release: () => listener.close() })
}

/**
 * Serves an agent over gRPC. Rejects with INVALID_ARGUMENT, or CONFLICT when the port is taken.
 * @param address `127.0.0.1:50061`, `grpc://...`, or `grpcs://...` with `tls`; port 0 picks a free one
 */
export async function serveGrpc<S extends object = Record<string, unknown>>(
  address: string,
  agent: Agent<S>,
  options: ServeGrpcOptions = {},
): Promise<RunningAgent> {
  const end = agentEnd(agent, options)
  const { tls, implementation } = options
  const listener = await listenGrpc(address, end.options, {
    clock: end.clock,
    tls,
    ...(implementation !== undefined && { implementation }),
  })
  return end.run({ address: listener.address, port: listener.port, release: () => listener.close() })
}
