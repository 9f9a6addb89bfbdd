import type { Clock } from '../../core/clock.ts'
import { VERSION } from '../../core/version.ts'
import type { AgentConfig as AgentSetup } from '../../pool/managed-pool.ts'
import type { Dialer, HandshakeOptions } from '../../transport/connection.ts'
import { grpcDialer } from '../../transport/grpc/grpc-dialer.ts'
import { udsDialer } from '../../transport/uds/uds-dialer.ts'
import { v1Dialer } from '../../transport/v1/v1-dialer.ts'
import { formatEndpoint } from '../config/addresses.ts'
import type { AgentConfig, AgentOrigin } from '../config/config.ts'

/** Time an agent has to accept its configuration, milliseconds: the protocol's minimum. */
const CONFIG_TIMEOUT_MS = 5000

/**
 * The dialer of an agent's next connection, with the configuration it is to be given. `rotation` counts the dials of
 * the agent's pool, so that its connections spread over the addresses of a name.
 */
export function agentDialer(
  agent: AgentConfig,
  origin: AgentOrigin & { readonly kind: 'dialed' },
  setup: AgentSetup,
  clock: Clock,
  rotation?: () => number,
): Dialer {
  const handshake: HandshakeOptions = {
    proxyId: 'weir',
    proxyVersion: VERSION,
    config: setup.config,
    configVersion: setup.version,
    connectTimeoutMs: agent.connectTimeoutMs,
    configTimeoutMs: CONFIG_TIMEOUT_MS,
  }
  const { endpoint } = origin
  switch (endpoint.kind) {
    case 'uds':
      return udsDialer(endpoint.path, handshake, { encodings: origin.encodings, clock })
    case 'v1':
      return v1Dialer(endpoint.path, handshake, { agentId: agent.name, clock })
    case 'grpc':
      return grpcDialer(formatEndpoint(endpoint), handshake, {
        implementation: origin.implementation,
        tls: origin.tls,
        rotation,
        clock,
      })
  }
}
