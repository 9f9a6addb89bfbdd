import assert from 'node:assert/strict'
import type { AgentDispatcher } from '../../src/proxy/agent-dispatcher.ts'
import type { AgentChain } from '../../src/proxy/chain.ts'
import type { RequestScope } from '../../src/proxy/request-scope.ts'
import type { Verdict } from '../../src/proxy/verdict.ts'
import { bodyChunk, requestHeaders } from '../support/sample-events.ts'
import { whatOf } from './what-of.ts'

/** What became of one piece of a body. */
export interface PieceOutcome {
  /** `allow`, `block`, an error code, or `bypass:` and the reasons. */
  readonly what: string
  /** Milliseconds since it was asked about and the piece before it had its verdict. */
  readonly latencyMs: number
  /** Process that answered; undefined when none was heard. */
  readonly judge: string | undefined
}

/** Bytes of each piece. */
export const PIECE_BYTES = 1000
const TEXT = 'x'.repeat(PIECE_BYTES)

/** One request with a body in several pieces, as a front end sends it. */
export class Upload {
  readonly correlationId: string
  /** Of the pieces, in order. */
  readonly outcomes: PieceOutcome[] = []
  readonly timeoutMs: number
  readonly #dispatcher: AgentDispatcher
  readonly #scope: RequestScope
  #pieces = 0
  #lastVerdictAt = 0

  constructor(dispatcher: AgentDispatcher, chain: AgentChain) {
    this.#dispatcher = dispatcher
    this.#scope = dispatcher.open(chain, { clientIp: '203.0.113.7' })
    this.correlationId = this.#scope.correlationId
    this.timeoutMs = chain.members.reduce((sum, { policy }) => sum + policy.timeoutMs, 0)
  }

  /** Events so far, the headers included. */
  get events(): number {
    return 1 + this.#pieces
  }

  async begin(): Promise<void> {
    const verdict = await this.#dispatcher.dispatch(requestHeaders(this.correlationId), this.#scope)
    assert.equal(whatOf(verdict), 'allow', 'the headers of an upload')
  }

  /** The next piece; several may be on their way at once. */
  async piece(isLast = false): Promise<PieceOutcome> {
    const startedAt = performance.now()
    const chunkIndex = this.#pieces++
    const bytesTransferred = this.#pieces * PIECE_BYTES
    const event = bodyChunk(this.correlationId, TEXT, { chunkIndex, isLast, bytesTransferred })
    const verdict = await this.#dispatcher.dispatch(event, this.#scope)
    const now = performance.now()
    const outcome: PieceOutcome = {
      what: whatOf(verdict),
      latencyMs: now - Math.max(startedAt, this.#lastVerdictAt),
      judge: judgeOf(verdict),
    }
    this.#lastVerdictAt = now
    this.outcomes.push(outcome)
    return outcome
  }

  /** So many pieces, all asked about at once. */
  async pieces(count: number): Promise<readonly string[]> {
    const outcomes = await Promise.all(Array.from({ length: count }, () => this.piece()))
    return outcomes.map(({ what }) => what)
  }

  /** What is allowed so far is handed on: an agent that fails open may not be left out of the rest. */
  commit(): void {
    this.#scope.requestBodyCommitted = true
  }

  close(): void {
    this.#dispatcher.close(this.#scope, undefined)
  }
}

function judgeOf({ audit }: Verdict): string | undefined {
  return audit.tags[0]
}
