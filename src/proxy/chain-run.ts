import type { AgentEvent } from '../core/event.ts'
import type { AgentReply } from '../core/reply.ts'
import type { AgentCall, CallOwner } from './agent-call.ts'
import type { ChainAgent } from './agent-policy.ts'
import { isFinalRefusal, VerdictDraft } from './merge.ts'
import type { RequestScope } from './request-scope.ts'
import type { Verdict } from './verdict.ts'

/** Makes and starts the calls of a run. */
export interface CallStarter {
  start(agent: ChainAgent, event: AgentEvent, scope: RequestScope, owner: CallOwner, index: number): AgentCall
  /** The agent turns to this call only now: its time begins anew. */
  beginTurn(call: AgentCall): void
}

/** One event that is no piece of a body past the agents of a chain, one after the other; the first refusal ends it. */
export class SerialRun implements CallOwner {
  readonly #agents: readonly ChainAgent[]
  readonly #scope: RequestScope
  readonly #starter: CallStarter
  readonly #resolve: (verdict: Verdict) => void
  readonly #draft = new VerdictDraft()
  readonly #event: AgentEvent

  constructor(
    agents: readonly ChainAgent[],
    event: AgentEvent,
    scope: RequestScope,
    starter: CallStarter,
    resolve: (verdict: Verdict) => void,
  ) {
    this.#agents = agents
    this.#event = event
    this.#scope = scope
    this.#starter = starter
    this.#resolve = resolve
  }

  begin(): void {
    this.#starter.start(this.#agents[0]!, this.#event, this.#scope, this, 0)
  }

  onSettled(call: AgentCall): void {
    const { reply, error, bypass, policy } = call
    if (bypass !== null) {
      this.#draft.addBypass({ agent: policy.name, reason: bypass })
    } else if (error !== null) {
      this.#resolve(this.#draft.denied(policy.name, error))
      return
    } else if (reply !== null) {
      if (refuses(reply, this.#event)) {
        this.#resolve(this.#draft.decided(policy.name, reply))
        return
      }
      this.#draft.addAllow(reply, this.#event.kind)
    }
    const next = call.index + 1
    if (next < this.#agents.length)
      this.#starter.start(this.#agents[next]!, this.#event, this.#scope, this, next)
    else this.#resolve(this.#draft.allowed())
  }
}

/**
 * One event to all agents of a chain at once. The outcome does not depend on who answers first: results count
 * in the order of the chain, an agent's refusal before any failure. It ends as soon as that is certain; the
 * rest is cancelled.
 */
export class ParallelRun implements CallOwner {
  readonly #agents: readonly ChainAgent[]
  readonly #event: AgentEvent
  readonly #scope: RequestScope
  readonly #starter: CallStarter
  readonly #resolve: (verdict: Verdict) => void
  readonly #calls: (AgentCall | undefined)[]
  #unsettled: number
  #isDone = false

  constructor(
    agents: readonly ChainAgent[],
    event: AgentEvent,
    scope: RequestScope,
    starter: CallStarter,
    resolve: (verdict: Verdict) => void,
  ) {
    this.#agents = agents
    this.#event = event
    this.#scope = scope
    this.#starter = starter
    this.#resolve = resolve
    this.#calls = new Array<AgentCall | undefined>(agents.length).fill(undefined)
    this.#unsettled = agents.length
  }

  begin(): void {
    for (let index = 0; index < this.#agents.length && !this.#isDone; index++) {
      this.#calls[index] = this.#starter.start(this.#agents[index]!, this.#event, this.#scope, this, index)
    }
  }

  onSettled(call: AgentCall): void {
    if (this.#isDone) return
    this.#calls[call.index] = call
    this.#unsettled--
    for (const earlier of this.#calls) {
      if (earlier === undefined || !earlier.isSettled) break
      if (earlier.reply !== null && refuses(earlier.reply, this.#event)) {
        this.#decide(earlier)
        return
      }
    }
    if (this.#unsettled === 0) this.#conclude()
  }

  #decide(call: AgentCall): void {
    this.#isDone = true
    const draft = new VerdictDraft()
    for (const other of this.#calls) {
      if (other === undefined) continue
      if (!other.isSettled) other.cancel('blocked-by-agent')
      else if (other.bypass !== null) draft.addBypass({ agent: other.policy.name, reason: other.bypass })
    }
    this.#resolve(draft.decided(call.policy.name, call.reply!))
  }

  #conclude(): void {
    this.#isDone = true
    const draft = new VerdictDraft()
    let failed: AgentCall | undefined
    for (const call of this.#calls) {
      if (call === undefined) continue
      if (call.bypass !== null) draft.addBypass({ agent: call.policy.name, reason: call.bypass })
      else if (call.error !== null) failed ??= call
      else if (call.reply !== null) draft.addAllow(call.reply, this.#event.kind)
    }
    this.#resolve(failed === undefined ? draft.allowed() : draft.denied(failed.policy.name, failed.error!))
  }
}

function refuses(reply: AgentReply, event: AgentEvent): boolean {
  return isFinalRefusal(reply, event.kind, false)
}
