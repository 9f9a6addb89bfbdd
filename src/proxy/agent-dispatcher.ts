import type { CancelReason } from '../core/agent-messages.ts'
import { CorrelationIds } from '../core/correlation-id.ts'
import { WeirError } from '../core/errors.ts'
import type { AgentEvent, RequestCompleteEvent } from '../core/event.ts'
import { AgentCall, type CallOwner } from './agent-call.ts'
import type { ChainAgent } from './agent-policy.ts'
import { BodyRun } from './body-run.ts'
import { isPiece } from './body-share.ts'
import type { AgentChain } from './chain.ts'
import { type CallStarter, ParallelRun, SerialRun } from './chain-run.ts'
import type { Dispatcher } from './dispatcher.ts'
import type { Pipeline } from './layer.ts'
import { VerdictDraft } from './merge.ts'
import { buildPipeline, type PipelineParts } from './pipeline.ts'
import { type RequestFactsIn, RequestScope, UNPINNED } from './request-scope.ts'
import type { Verdict } from './verdict.ts'

export interface DispatcherOptions {
  /** Requests open at once, front ends' idle ones included. Default 100,000, the protocol's bound on pins. */
  readonly maxOpenRequests?: number
  readonly correlationIds?: CorrelationIds
}

const DEFAULT_MAX_OPEN_REQUESTS = 100_000

/** Nobody waits for the answer of a `request-complete`. */
const NOBODY: CallOwner = { onSettled: () => undefined }

/** Carries events of open requests past the agents of their chains. */
export class AgentDispatcher implements Dispatcher, CallStarter {
  readonly #parts: PipelineParts
  readonly #maxOpenRequests: number
  readonly #ids: CorrelationIds
  /** Pipelines are compiled once per agent; a replaced agent's goes with it. */
  #pipelines = new WeakMap<ChainAgent, Pipeline>()
  /** Newest of the open requests, a linked list: a set would be rehashed under every request. */
  #newest: RequestScope | null = null
  #openRequests = 0
  #drained: Promise<void> | undefined
  #onLastClosed: (() => void) | undefined

  constructor(parts: PipelineParts, options: DispatcherOptions = {}) {
    this.#parts = parts
    this.#maxOpenRequests = options.maxOpenRequests ?? DEFAULT_MAX_OPEN_REQUESTS
    this.#ids = options.correlationIds ?? new CorrelationIds()
  }

  /** The parts changed: calls from now on pass other layers, those under way keep theirs. */
  rebuildPipelines(): void {
    this.#pipelines = new WeakMap()
  }

  get openRequests(): number {
    return this.#openRequests
  }

  open(chain: AgentChain, facts: RequestFactsIn): RequestScope {
    if (this.#drained !== undefined) {
      throw new WeirError('DRAINING', 'this process is shutting down and takes no new requests', {
        sent: false,
      })
    }
    if (this.#openRequests >= this.#maxOpenRequests) {
      throw new WeirError('OVERLOADED', `${this.#maxOpenRequests} requests are open already`, { sent: false })
    }
    const scope = new RequestScope(chain, this.#ids.next(), facts)
    this.#link(scope)
    return scope
  }

  dispatch(event: AgentEvent, scope: RequestScope): Promise<Verdict> {
    const chain = scope.chain as AgentChain
    const agents = chain.wanting(event.kind)
    if (agents.length === 0) return Promise.resolve(new VerdictDraft().allowed())
    if (scope.isClosed) return Promise.resolve(closedVerdict())
    return new Promise((resolve) => {
      if (isPiece(event)) new BodyRun(agents, event, scope, this, resolve).begin()
      else if (chain.isParallel && agents.length > 1)
        new ParallelRun(agents, event, scope, this, resolve).begin()
      else new SerialRun(agents, event, scope, this, resolve).begin()
    })
  }

  close(scope: RequestScope, summary: RequestCompleteEvent | undefined): void {
    if (scope.isClosed) return
    scope.isClosed = true
    this.#unlink(scope)
    if (summary !== undefined) {
      for (const agent of (scope.chain as AgentChain).wanting('request-complete')) {
        this.start(agent, summary, scope, NOBODY, 0)
      }
    }
    if (scope.pinnedAgents.length > 0) unpinAll(scope)
    if (this.#openRequests === 0) this.#onLastClosed?.()
  }

  abort(scope: RequestScope, reason: CancelReason): void {
    if (scope.isClosed) return
    /* A hedged event is on two connections of its agent. */
    const told = new Set<string>()
    for (let call = scope.calls; call !== null; ) {
      const place = call.isPending ? placeOf(call.agent, call.connection!.id) : undefined
      if (place !== undefined && told.has(place)) call.cancelQuietly(reason)
      else {
        if (place !== undefined) told.add(place)
        call.cancel(reason)
      }
      /* The call may have taken others along, the next one too. */
      call = scope.calls === call ? call.scopeNext : scope.calls
    }
    for (const agent of (scope.chain as AgentChain).members) {
      const pin = scope.pinOf(agent.policy.name)
      if (pin === UNPINNED || told.has(placeOf(agent, pin))) continue
      agent.pool.find(pin)?.connection.cancel(scope.correlationId, reason)
    }
    this.close(scope, undefined)
  }

  drain(timeoutMs: number): Promise<void> {
    this.#drained ??= this.#drain(timeoutMs)
    return this.#drained
  }

  async #drain(timeoutMs: number): Promise<void> {
    if (this.#openRequests > 0) {
      await new Promise<void>((resolve) => {
        const timer = this.#parts.clock.setTimer(timeoutMs, resolve)
        this.#onLastClosed = () => {
          timer.cancel()
          resolve()
        }
      })
    }
    while (this.#newest !== null) this.abort(this.#newest, 'proxy-shutdown')
  }

  /** For the runs. */
  start(
    agent: ChainAgent,
    event: AgentEvent,
    scope: RequestScope,
    owner: CallOwner,
    index: number,
  ): AgentCall {
    const call = new AgentCall(agent, event, scope, this.#pipelineOf(agent), owner, index, this.#parts.clock)
    call.advance()
    return call
  }

  /** For the runs. */
  beginTurn(call: AgentCall): void {
    const { clock, wheel } = this.#parts
    const now = clock.now()
    call.dueSince = now
    wheel.disarm(call)
    wheel.arm(call, now + call.policy.timeoutMs)
  }

  #link(scope: RequestScope): void {
    scope.openNext = this.#newest
    if (this.#newest !== null) this.#newest.openPrev = scope
    this.#newest = scope
    this.#openRequests++
    ;(scope.chain as AgentChain).openRequests++
  }

  #unlink(scope: RequestScope): void {
    if (scope.openPrev !== null) scope.openPrev.openNext = scope.openNext
    else this.#newest = scope.openNext
    if (scope.openNext !== null) scope.openNext.openPrev = scope.openPrev
    scope.openPrev = null
    scope.openNext = null
    this.#openRequests--
    ;(scope.chain as AgentChain).openRequests--
  }

  #pipelineOf(agent: ChainAgent): Pipeline {
    let pipeline = this.#pipelines.get(agent)
    if (pipeline === undefined) {
      pipeline = buildPipeline(agent.policy, this.#parts)
      this.#pipelines.set(agent, pipeline)
    }
    return pipeline
  }
}

/** Names a connection among those of all agents. */
function placeOf(agent: ChainAgent, connectionId: number): string {
  return `${agent.policy.name} ${connectionId}`
}

/** Connections that leave need not wait for this request any more. */
function unpinAll(scope: RequestScope): void {
  for (const { policy, pool } of (scope.chain as AgentChain).members) {
    const pin = scope.pinOf(policy.name)
    if (pin !== UNPINNED) pool.find(pin)?.unpin(scope.correlationId)
  }
}

function closedVerdict(): Verdict {
  const error = new WeirError('CANCELLED', 'the request is over', { sent: false })
  return new VerdictDraft().denied(undefined, error)
}
