import { EventServer } from '../../sdk/event-server.ts'
import { RunningAgent } from '../../sdk/running-agent.ts'
import type { AgentEndOptions } from '../../transport/proxy-link.ts'
import { chainCapabilities } from './capabilities.ts'
import { ChainResponder, type ChainResponderParts } from './chain-responder.ts'
import type { ProxiedRequest } from './proxied-request.ts'

export interface AgentProtocolOptions extends ChainResponderParts {
  /** Version of Weir, for handshakes. */
  readonly version: string
  /**
   * Requests known at once; the longest idle one gives way. Default 50,000: half of what the dispatcher admits, so that
   * proxies that never complete their requests leave room for the other front ends.
   */
  readonly maxRequests?: number | undefined
  /** Milliseconds without an event after which a request is over. Default 300,000. */
  readonly idleTtlMs?: number | undefined
}

/**
 * Weir as the one agent of a proxy that speaks the agent protocol. It brings no listener: put `agentEnd` behind
 * `listenGrpc`, `listenUds` or both.
 */
export class AgentProtocolFrontEnd {
  readonly agentEnd: AgentEndOptions
  readonly #server: EventServer<ProxiedRequest>
  readonly #running: RunningAgent

  constructor(options: AgentProtocolOptions) {
    const responder = new ChainResponder(options)
    this.#server = new EventServer(responder, {
      clock: options.clock,
      maxRequests: options.maxRequests ?? 50_000,
      idleTtlMs: options.idleTtlMs,
    })
    responder.attach(this.#server)
    this.#running = new RunningAgent({
      agentId: 'weir',
      clock: options.clock,
      server: this.#server,
      healthIntervalMs: 0,
      address: '',
      port: 0,
    })
    this.agentEnd = {
      capabilities: () => chainCapabilities(options.chains.all, options.version),
      handler: this.#server,
    }
  }

  /** Proxies connected now. */
  get links(): number {
    return this.#running.links
  }

  /** Requests known now. */
  get requests(): number {
    return this.#server.requests
  }

  /**
   * Tells every proxy that Weir is draining, answers what is being asked (at most `timeoutMs`), and closes the links, which
   * ends their requests. Twice: the same promise.
   */
  drain(timeoutMs: number): Promise<void> {
    return this.#running.close({ timeoutMs })
  }
}
