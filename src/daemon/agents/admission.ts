import type { WeirError } from '../../core/errors.ts'
import type { Probe } from '../../core/probe.ts'
import type { Incarnation } from '../../pool/managed-pool.ts'
import type { Connection } from '../../transport/connection.ts'
import type { Admission, ReversePeer } from '../../transport/reverse/reverse-listener.ts'
import { tokenMatches } from '../../transport/reverse/token-hash.ts'
import type { RegistrationRequest } from '../../wire/codec.ts'
import type { AgentOrigin } from '../config/config.ts'
import type { AgentSet } from './agent-set.ts'

/** The hash of no token. */
const NO_TOKEN = '0'.repeat(64)

/** Decides which agents that dial in become connections of which pool. */
export class ReverseAdmission {
  readonly #agents: AgentSet
  readonly #probe: Probe
  /** Admitted, and not yet a connection of the pool: they hold a place. */
  readonly #reserved = new Map<string, number>()
  #connections = 0

  constructor(agents: AgentSet, probe: Probe) {
    this.#agents = agents
    this.#probe = probe
  }

  /** An unknown id and a wrong token get the same answer, so that neither can be guessed. */
  admit(request: RegistrationRequest, peer: ReversePeer): Admission {
    const { agentId } = request
    const entry = this.#agents.entries.get(agentId)
    if (entry === undefined || entry.config.origin.kind !== 'reverse') {
      /* As much work as for a known id, so that time does not tell them apart. */
      tokenMatches(request.authToken, NO_TOKEN)
      return this.#refuse(request, peer, 'unknown id')
    }
    const { origin } = entry.config
    const flaw = proofFlaw(origin, request.authToken, peer)
    if (flaw !== undefined) return this.#refuse(request, peer, flaw)
    const { active, retiring } = entry.pool.snapshot()
    const reserved = this.#reserved.get(agentId) ?? 0
    const full = active - retiring + reserved >= origin.maxConnections && reserved > 0
    const refusal = entry.pool.canAdopt(incarnationOf(request))?.message
    if (refusal !== undefined || full)
      return this.#refuse(request, peer, refusal ?? 'every place is taken', 'no place for another connection')
    this.#reserved.set(agentId, reserved + 1)
    return {
      isAdmitted: true,
      connectionId: `${agentId}-${++this.#connections}`,
      withdraw: () => this.#release(agentId),
    }
  }

  /** Hands an admitted connection to the pool of its agent. */
  connected(connection: Connection, request: RegistrationRequest): void {
    this.#release(request.agentId)
    const pool = this.#agents.entries.get(request.agentId)?.pool
    const refused = pool?.adopt(connection, incarnationOf(request))
    if (pool !== undefined && refused === undefined) return
    this.refused({ address: connection.peer, certificate: undefined }, refused)
    void connection.close()
  }

  /** A connection that ended before it was one. */
  refused(peer: ReversePeer, reason: WeirError | undefined): void {
    this.#probe.notice?.(
      'warn',
      `a connection to listen.reverse was refused: ${reason?.message ?? 'removed meanwhile'}`,
      {
        peer: peer.address,
      },
    )
  }

  #refuse(request: RegistrationRequest, peer: ReversePeer, why: string, told?: string): Admission {
    this.#probe.notice?.('warn', `an agent that dialed in was refused: ${why}`, {
      agent: request.agentId.slice(0, 128),
      peer: peer.address,
    })
    return told === undefined ? { isAdmitted: false } : { isAdmitted: false, reason: told }
  }

  #release(agent: string): void {
    const left = (this.#reserved.get(agent) ?? 0) - 1
    if (left > 0) this.#reserved.set(agent, left)
    else this.#reserved.delete(agent)
  }
}

/** What is wrong with an agent's proof of who it is; undefined: nothing. Every token is compared, in constant time. */
function proofFlaw(
  origin: AgentOrigin & { readonly kind: 'reverse' },
  token: string | undefined,
  peer: ReversePeer,
): string | undefined {
  const { tokenSha256s, clientCertificateSan } = origin
  if (tokenSha256s.length > 0) {
    let isKnown = false
    for (const hash of tokenSha256s) isKnown = tokenMatches(token, hash) || isKnown
    if (!isKnown) return 'wrong token'
  }
  if (clientCertificateSan === undefined) return undefined
  const names = peer.certificate?.subjectAltNames ?? []
  const isNamed = names.some(
    (name) => name === clientCertificateSan || name.replace(/^[^:]+:/, '') === clientCertificateSan,
  )
  return isNamed ? undefined : 'the client certificate does not carry the expected name'
}

/** Which run of which instance the agent says it is, as our SDK tells it. */
function incarnationOf({ metadata }: RegistrationRequest): Incarnation | undefined {
  const { instance, epoch } = (metadata ?? {}) as { instance?: unknown; epoch?: unknown }
  if (typeof instance !== 'string' || instance === '' || instance.length > 256) return undefined
  return { instance, epoch: typeof epoch === 'number' && Number.isFinite(epoch) ? epoch : 0 }
}
