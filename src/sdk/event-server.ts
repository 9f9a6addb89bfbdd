import type { CancelReason } from '../core/agent-messages.ts'
import type { Clock } from '../core/clock.ts'
import { WeirError } from '../core/errors.ts'
import type { AgentEvent } from '../core/event.ts'
import type { AgentReply } from '../core/reply.ts'
import type { ProxyLink, ProxyLinkHandler } from '../transport/proxy-link.ts'
import { ChangeSignal } from './change-signal.ts'
import { fitReply } from './fit-reply.ts'
import { RequestTable } from './request-table.ts'
import type { Responder } from './responder.ts'
import type { RequestEnd, ServedLink, ServedRequest, Work } from './served-request.ts'
import { Workload } from './workload.ts'

/**
 * Work that may wait behind busy requests of one link before its proxy is cut off. The transport stops reading a proxy
 * that does not read its answers; this is the bound for one that floods a few requests.
 */
const MAX_WAITING_PER_LINK = 16_384

export interface EventServerOptions {
  readonly clock: Clock
  /** Requests remembered at most, over all links. Default 100,000. */
  readonly maxRequests?: number | undefined
  /** Milliseconds after which an idle request is forgotten. Default 300,000 (the protocol's affinity TTL). */
  readonly idleTtlMs?: number | undefined
}

/**
 * Answers the events of many proxy links: in order within one request, side by side across requests. A handler that
 * answers at once costs no table entry, no queue and no promise.
 */
export class EventServer<R extends ServedRequest> implements ProxyLinkHandler {
  readonly #responder: Responder<R>
  readonly #clock: Clock
  readonly #links = new Map<ProxyLink, ServedLink>()
  readonly #table: RequestTable
  /** A handler has finished, or a link has gone, and nothing runs. For drains. */
  readonly #idle: ChangeSignal
  #latestWorkAt = Number.NEGATIVE_INFINITY
  #isDraining = false
  readonly workload = new Workload()

  constructor(responder: Responder<R>, options: EventServerOptions) {
    this.#responder = responder
    this.#clock = options.clock
    this.#idle = new ChangeSignal(options.clock)
    this.#table = new RequestTable({
      clock: options.clock,
      capacity: options.maxRequests ?? 100_000,
      idleTtlMs: options.idleTtlMs ?? 300_000,
      onForgotten: (request, why) => this.#end(request as R, why, undefined),
    })
  }

  get links(): readonly ProxyLink[] {
    return [...this.#links.keys()]
  }

  /** Requests remembered now. */
  get requests(): number {
    return this.#table.size
  }

  /** A listed request, if there is one. */
  find(link: ProxyLink, correlationId: string): R | undefined {
    return this.#links.get(link)?.requests.get(correlationId) as R | undefined
  }

  /** Remembers a request beyond its running event, until it ends. Nothing to do once no event of it runs. */
  keep(request: R): void {
    if (request.phase !== 'busy' || request.isKept) return
    request.isKept = true
    this.#table.add(request)
  }

  /** Lists a running request, so that a cancel or the loss of its link reaches it. */
  watch(request: R): void {
    if (request.phase === 'busy') this.#table.add(request)
  }

  /** Events that wait for their turn. */
  get waiting(): number {
    let waiting = 0
    for (const served of this.#links.values()) waiting += served.waiting
    return waiting
  }

  /** Forgets the longest idle request to make room elsewhere. False when there is none. */
  evictOldest(): boolean {
    return this.#table.evictOldest()
  }

  onOpen(link: ProxyLink): void {
    if (this.#isDraining) {
      link.destroy(new WeirError('DRAINING', 'this agent is draining and takes no new connections'))
      return
    }
    this.#links.set(link, { link, requests: new Map(), waiting: 0 })
    this.#responder.linkOpened?.(link)
  }

  onClosed(link: ProxyLink, reason: WeirError): void {
    const served = this.#links.get(link)
    if (served === undefined) return
    this.#links.delete(link)
    for (const request of [...served.requests.values()]) this.#finishEarly(request as R, 'link-closed')
    this.#responder.linkClosed?.(link, reason)
    this.#wakeDrains()
  }

  onEvent(event: AgentEvent, link: ProxyLink): void {
    this.#take(event, link)
  }

  onMalformedEvent(correlationId: string, error: WeirError, link: ProxyLink): void {
    this.#take({ kind: 'malformed', correlationId, error }, link)
  }

  onCancel(correlationId: string, reason: CancelReason, link: ProxyLink): void {
    const served = this.#links.get(link)
    if (served === undefined) return
    this.workload.cancelled(reason)
    const request = this.#table.find(served, correlationId)
    if (request !== undefined) this.#finishEarly(request as R, 'cancelled', reason)
  }

  onConfigure(
    config: unknown,
    version: string | undefined,
    isInitial: boolean,
    link: ProxyLink,
  ): Promise<void> {
    return this.#responder.configure(config, version, isInitial, link)
  }

  /**
   * Refuses new links and resolves once nothing runs or waits and no event came for `lingerMs`, or every proxy has left, or
   * after `timeoutMs`. Until then events of the open links are answered: proxies learn of a drain while events of
   * theirs are on the way, and only they know which requests have more to come.
   */
  async drain(timeoutMs: number, lingerMs = 0): Promise<void> {
    this.#isDraining = true
    const since = this.#clock.now()
    const deadlineAt = since + timeoutMs
    while (this.#links.size > 0) {
      const now = this.#clock.now()
      const quietAt = Math.max(since, this.#latestWorkAt) + lingerMs
      if (now >= deadlineAt || (this.#isIdle && now >= quietAt)) return
      await this.#idle.wait(this.#isIdle ? Math.min(quietAt, deadlineAt) - now : deadlineAt - now)
    }
  }

  /** Ends every link at once, flushing what was answered. Call after {@link drain}. */
  async close(): Promise<void> {
    this.#isDraining = true
    await Promise.all(this.links.map((link) => link.close()))
    this.#table.close()
  }

  get #isIdle(): boolean {
    if (this.workload.inFlight > 0) return false
    return this.waiting === 0
  }

  #take(work: Work, link: ProxyLink): void {
    const served = this.#links.get(link)
    if (served === undefined) return
    const known = this.#table.find(served, work.correlationId) as R | undefined
    if (known?.phase === 'busy') {
      if (!this.#countWaiting(served)) return
      link.keepData?.()
      if (known.backlog === undefined) known.backlog = [work]
      else known.backlog.push(work)
      return
    }
    if (known !== undefined) this.#run(work, known)
    else if (work.kind === 'malformed') this.#refuse(work, work.error, served)
    else if (this.#table.isSaturated)
      this.#refuse(work, new WeirError('OVERLOADED', 'the agent handles as many requests as it may'), served)
    else this.#run(work, this.#responder.start(served, work))
  }

  #refuse(work: Work, error: WeirError, served: ServedLink): void {
    this.workload.rejected()
    this.#reply(work, served.link, this.#responder.failure(work, error, served.link))
  }

  /** Runs one piece of work, and then the backlog for as long as the handlers answer at once. */
  #run(first: Work, request: R): void {
    let work: Work | undefined = first
    this.#table.wake(request)
    request.phase = 'busy'
    while (work !== undefined) {
      const outcome = this.#call(work, request)
      if (isPromise(outcome)) {
        this.#table.add(request)
        request.served.link.keepData?.()
        void this.#settleLater(work, request, outcome)
        return
      }
      work = this.#settle(work, request, outcome)
    }
  }

  /** A reply that cannot be encoded (too large, a header the wire cannot carry) is a failure like any other. */
  #reply(work: Work, link: ProxyLink, reply: AgentReply): void {
    try {
      link.reply(fitReply(reply, work.kind, link))
    } catch (thrown) {
      link.reply(this.#responder.failure(work, thrown, link))
    }
  }

  #call(work: Work, request: R): AgentReply | Promise<AgentReply> {
    this.workload.started()
    request.startedAt = this.#clock.now()
    this.#latestWorkAt = request.startedAt
    try {
      if (work.kind === 'malformed') return this.#responder.failure(work, work.error, request.served.link)
      return this.#responder.respond(work, request)
    } catch (thrown) {
      return this.#responder.failure(work, thrown, request.served.link)
    }
  }

  async #settleLater(work: Work, request: R, outcome: Promise<AgentReply>): Promise<void> {
    let reply: AgentReply
    try {
      reply = await outcome
    } catch (thrown) {
      reply = this.#responder.failure(work, thrown, request.served.link)
    }
    const next = this.#settle(work, request, reply)
    if (next !== undefined) this.#run(next, request)
  }

  /** Answers, and returns what this request was asked meanwhile. */
  #settle(work: Work, request: R, reply: AgentReply): Work | undefined {
    const tookMs = this.#clock.now() - request.startedAt
    this.workload.finished(tookMs)
    /* A settled handler may be what a drain waits for; an ended request was told so and gets no answer. */
    if (request.phase === 'ended') {
      this.#wakeDrains()
      return undefined
    }
    this.#reply(work, request.served.link, reply)
    if (work.kind === 'request-complete') {
      this.#complete(request)
      return undefined
    }
    const next = request.backlog?.shift()
    if (next !== undefined) {
      request.served.waiting--
      return next
    }
    request.phase = 'idle'
    if (request.isKept) this.#table.rest(request)
    else this.#table.remove(request)
    this.#wakeDrains()
    return undefined
  }

  /** False: the proxy was cut off, because more waits than any well-behaved one sends. */
  #countWaiting(served: ServedLink): boolean {
    if (++served.waiting <= MAX_WAITING_PER_LINK) return true
    const message = `more than ${MAX_WAITING_PER_LINK} events wait on this link: the proxy does not wait for its answers`
    served.link.destroy(new WeirError('OVERLOADED', message))
    return false
  }

  /** Events behind the last one are a proxy's mistake; they are answered all the same, as a request of their own. */
  #complete(request: R): void {
    const late = request.backlog ?? []
    request.backlog = undefined
    const { served } = request
    served.waiting -= late.length
    this.#finishEarly(request, 'completed')
    for (const work of late) this.#take(work, served.link)
  }

  #finishEarly(request: R, end: RequestEnd, reason?: CancelReason): void {
    const wasListed = request.isListed
    this.#table.remove(request)
    if (wasListed) this.#end(request, end, reason)
    else request.phase = 'ended'
  }

  #end(request: R, end: RequestEnd, reason: CancelReason | undefined): void {
    request.phase = 'ended'
    request.served.waiting -= request.backlog?.length ?? 0
    request.backlog = undefined
    this.#responder.ended(request, end, reason)
    this.#wakeDrains()
  }

  #wakeDrains(): void {
    if (this.#idle.isAwaited && this.#isIdle) this.#idle.notify()
  }
}

function isPromise(outcome: AgentReply | Promise<AgentReply>): outcome is Promise<AgentReply> {
  return 'then' in outcome
}
