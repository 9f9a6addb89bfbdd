import { WeirError } from '../core/errors.ts'
import type { BodyChunkEvent } from '../core/event.ts'
import type { AgentReply } from '../core/reply.ts'
import type { AgentCall, CallOwner } from './agent-call.ts'
import type { ChainAgent } from './agent-policy.ts'
import type { CallStarter } from './chain-run.ts'
import { isFinalRefusal, mutationOf, VerdictDraft } from './merge.ts'
import type { RequestScope } from './request-scope.ts'
import type { Verdict } from './verdict.ts'

/**
 * One piece of a body past the agents of a chain, one agent after the other. Several pieces of one body may be on
 * their way at once: the agents see them in order, each piece as the agent before it left it, and their verdicts are
 * given in order. A piece goes ahead of the verdict before it only to an agent that has taken the piece before it and
 * has room for more; a refusal ends every piece behind it.
 */
export class BodyRun implements CallOwner {
  /** Dispatched while the piece before it had no verdict: whether that one will be handed on is not known here. */
  readonly followsOpenPiece: boolean
  readonly #agents: readonly ChainAgent[]
  readonly #scope: RequestScope
  readonly #starter: CallStarter
  readonly #resolve: (verdict: Verdict) => void
  readonly #draft = new VerdictDraft()
  #event: BodyChunkEvent
  /** Position of the agent that has the piece, or that it waits for. */
  #stage = 0
  #isAtAgent = false
  /** The call to that agent, once begun. */
  #call: AgentCall | null = null
  #verdict: Verdict | undefined
  #isRefused = false
  #isGiven = false
  /** Neighbours among the pieces of this body whose verdicts were not given, or that an agent has yet to answer. */
  #before: BodyRun | null
  #after: BodyRun | null = null

  constructor(
    agents: readonly ChainAgent[],
    event: BodyChunkEvent,
    scope: RequestScope,
    starter: CallStarter,
    resolve: (verdict: Verdict) => void,
  ) {
    this.#agents = agents
    this.#event = event
    this.#scope = scope
    this.#starter = starter
    this.#resolve = resolve
    const before = scope.lastPiece(event.kind)
    this.#before = before
    this.followsOpenPiece = before !== null
    if (before !== null) before.#after = this
    scope.setLastPiece(event.kind, this)
  }

  begin(): void {
    const before = this.#before
    if (before !== null && before.#isRefused) this.#drop(undefined)
    else this.#step()
  }

  /** Its agent has the piece before this one as well: only the first of them can be late. */
  isBehind(call: AgentCall): boolean {
    const before = this.#before
    return before !== null && before.#isAtAgent && before.#stage === call.index
  }

  onSettled(call: AgentCall): void {
    this.#isAtAgent = false
    this.#call = null
    const after = this.#after
    if (this.#verdict === undefined) this.#conclude(call)
    else if (this.#isGiven) this.#unlink()
    if (after !== null) after.#onBeforeLeft(call)
  }

  #conclude(call: AgentCall): void {
    const { reply, error, bypass, policy } = call
    if (bypass !== null) {
      this.#draft.addBypass({ agent: policy.name, reason: bypass })
    } else if (error !== null) {
      this.#refuse(this.#draft.denied(policy.name, error), call)
      return
    } else if (reply !== null) {
      if (isFinalRefusal(reply, this.#event.kind, this.#event.isLast)) {
        this.#refuse(this.#draft.decided(policy.name, reply), undefined)
        return
      }
      this.#draft.addAllow(reply, this.#event.kind)
      this.#event = asSeenByNext(this.#event, reply)
    }
    this.#stage++
    if (this.#stage < this.#agents.length) this.#step()
    else this.#decide(this.#draft.allowed())
  }

  /** Asks the next agent, unless the piece before this one has yet to be there. */
  #step(): void {
    if (this.#isAtAgent || this.#verdict !== undefined) return
    if (this.#scope.isClosed) {
      this.#refuse(overVerdict(), undefined)
      return
    }
    if (this.#before !== null && !this.#before.#letsFollow(this.#stage)) return
    this.#isAtAgent = true
    const call = this.#starter.start(this.#agents[this.#stage]!, this.#event, this.#scope, this, this.#stage)
    if (!call.isSettled) this.#call = call
  }

  /** Whether the next piece may go to the agent at `stage`. */
  #letsFollow(stage: number): boolean {
    if (this.#verdict !== undefined) return true
    if (this.#stage !== stage) return this.#stage > stage
    const call = this.#call
    return call !== null && call.isPending && call.connection!.takesAhead(call.correlationId)
  }

  /** The piece before this one has left the agent of its call `before`: this one is next there. */
  #onBeforeLeft(before: AgentCall): void {
    const call = this.#call
    if (call === null || call.index !== before.index) this.#step()
    else if (call.isQuiet && isAbandoned(before)) call.cancel('timeout')
    else if (before.bypass !== null && (isStopped(before) || !call.isPending)) call.failQuietly(before.error!)
    else this.#starter.beginTurn(call)
  }

  /** `failed`: the call whose failure is the reason, if one is. */
  #refuse(verdict: Verdict, failed: AgentCall | undefined): void {
    this.#isRefused = true
    for (let run = this.#after; run !== null; run = run.#after) run.#drop(failed)
    this.#decide(verdict)
  }

  #decide(verdict: Verdict): void {
    this.#verdict = verdict
    this.#deliver()
  }

  /** Gives the verdicts that are known by now, in order. */
  #deliver(): void {
    const isNext = this.#before === null || this.#before.#isGiven
    let run: BodyRun | null = isNext ? this : null
    while (run !== null && run.#verdict !== undefined) {
      const after: BodyRun | null = run.#after
      run.#isGiven = true
      run.#resolve(run.#verdict)
      if (after === null) run.#scope.setLastPiece(run.#event.kind, null)
      if (!run.#isAtAgent) run.#unlink()
      run = after
    }
  }

  /** Nothing depends on it any more. */
  #unlink(): void {
    if (this.#before !== null) this.#before.#after = this.#after
    if (this.#after !== null) this.#after.#before = this.#before
    this.#before = null
    this.#after = null
  }

  /**
   * What came before was refused, so nothing of this piece counts any more. An agent that has it answers it still,
   * and the answer is needed: without it the request's next event could not go to that agent. Only one that was told
   * to stop will not. Whoever cancelled the failed call cancels all of the request.
   */
  #drop(failed: AgentCall | undefined): void {
    this.#isRefused = true
    if (this.#verdict !== undefined) return
    this.#verdict = overVerdict()
    const call = this.#call
    if (call === null || failed?.error?.code === 'CANCELLED') return
    const isTold = failed !== undefined && isStopped(failed) && failed.agent === call.agent
    if (call.isPending && !isTold) {
      call.isQuiet = true
      this.#scope.detach(call)
    } else call.cancelQuietly('timeout')
  }
}

/** Its agent was told that the request is over, as the answer took too long: it answers no later piece either. */
function isStopped(call: AgentCall): boolean {
  return call.error?.code === 'TIMEOUT'
}

/** Nobody waited for the answer, and it did not come: those to later pieces will not either. */
function isAbandoned(call: AgentCall): boolean {
  return call.isQuiet && call.error?.code === 'CANCELLED'
}

/** A later agent judges what an earlier one made of the piece, so that two maskings add up. */
function asSeenByNext(event: BodyChunkEvent, reply: AgentReply): BodyChunkEvent {
  const mutation = mutationOf(reply, event.kind)
  return mutation?.data === undefined ? event : { ...event, data: mutation.data }
}

function overVerdict(): Verdict {
  const error = new WeirError('CANCELLED', 'this piece of a body came after its end or refusal', {
    sent: false,
  })
  return new VerdictDraft().denied(undefined, error)
}
