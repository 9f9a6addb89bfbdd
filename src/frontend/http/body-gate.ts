import { WeirError } from '../../core/errors.ts'
import { type BodyPlan, DEFAULT_AHEAD_BYTES } from '../../proxy/chain.ts'
import type { Verdict } from '../../proxy/verdict.ts'

/** Smaller chunks wait for their fellows until the end of the turn of the event loop. */
const COALESCE_BYTES = 16 * 1024
/** Larger pieces are split: agents state this as what they prefer. */
const PIECE_BYTES = 64 * 1024
/** Bytes that may wait while an agent thinks or the other side is slow; then the source is stopped. */
const HIGH_WATER_BYTES = 64 * 1024
/** Pieces asked about and not decided, however small they are. */
const MAX_ASKED = 16

/** A piece that was asked about. */
interface Asked {
  readonly data: Uint8Array
  readonly isLast: boolean
  verdict: Verdict | undefined
}

/** The two ends of a gate: who is asked, and where the bytes go. */
export interface GateOwner {
  /** Asks the agents about one chunk, perhaps before the verdict on the one before it came. Never rejects. */
  gateAsk(data: Uint8Array, chunkIndex: number, isLast: boolean, bytesTransferred: number): Promise<Verdict>
  /** A final allow; what was held follows. */
  gateAllowed(verdict: Verdict): void
  /** Nothing held is forwarded, nothing more is asked. */
  gateDenied(verdict: Verdict): void
  /** The body is over the plan's limit and the plan says reject. */
  gateOverflowed(error: WeirError): void
  /** The body is over the plan's limit: the rest passes uninspected. */
  gateSkipped(): void
  /** Bytes that may go on. False: `writable` will be called. */
  gateForward(data: Uint8Array): boolean
  /** Everything was forwarded. */
  gateEnded(): void
  /** `push` returned false before; now there is room. */
  gateHungry(): void
}

/**
 * Lets a body past the agents of a chain, in order, forwarding nothing before its verdict and the verdicts of all
 * that comes before it. In `stream` mode each piece is a question, and several may be open, as far as the plan lets
 * them go ahead; in `buffer` mode the whole body is one. While agents say `needsMore`, pieces are held back. The last
 * question says `isLast`, exactly once.
 */
export class BodyGate {
  readonly #owner: GateOwner
  readonly #plan: BodyPlan
  readonly #aheadBytes: number
  readonly #declaredSize: number | undefined
  /** `inspecting` -> `open` (the rest passes) or `over` (denied, ended or dropped). */
  #state: 'inspecting' | 'open' | 'over' = 'inspecting'
  readonly #pending: Buffer[] = []
  #pendingBytes = 0
  /** Asked about, allowed provisionally. */
  #held: Uint8Array[] = []
  #heldBytes = 0
  /** Open questions, oldest first. */
  readonly #asked: Asked[] = []
  #askedBytes = 0
  #isAskedLast = false
  #isTruncated = false
  #isEnded = false
  #isBlocked = false
  #isSourceStopped = false
  #isFlushDue = false
  #chunkIndex = 0
  #receivedBytes = 0
  #inspectedBytes = 0
  #forwardedBytes = 0
  /** What replacements and drops added to the length. */
  #growth = 0
  #isWhole = false

  /** `declaredSize` in bytes, undefined when the sender did not say. */
  constructor(owner: GateOwner, plan: BodyPlan, declaredSize: number | undefined) {
    this.#owner = owner
    this.#plan = plan
    this.#aheadBytes = plan.aheadBytes ?? DEFAULT_AHEAD_BYTES
    this.#declaredSize = declaredSize
  }

  /**
   * Bytes that will have been forwarded in the end. Known once the last verdict was given: before that, a later
   * chunk may still be changed.
   */
  get finalLength(): number | undefined {
    if (this.#isWhole) return this.#forwardedBytes + this.#heldBytes
    if (this.#state !== 'open' || this.#declaredSize === undefined) return undefined
    return this.#declaredSize + this.#growth
  }

  /** Takes bytes from the source. False: stop until `gateHungry`. */
  push(chunk: Buffer): boolean {
    if (this.#state === 'over') return true
    this.#pending.push(chunk)
    this.#pendingBytes += chunk.length
    this.#receivedBytes += chunk.length
    /* The bytes that were declared are all there are: the last piece need not wait to be told so. */
    if (this.#receivedBytes === this.#declaredSize) this.#isEnded = true
    this.#advance()
    if (this.#isFull()) this.#isSourceStopped = true
    return !this.#isSourceStopped
  }

  /** The source has no more. */
  end(): void {
    this.#isEnded = true
    this.#advance()
  }

  /** The destination takes more again. */
  writable(): void {
    this.#isBlocked = false
    this.#advance()
    this.#feed()
  }

  /** The request is over; nothing more comes out. */
  stop(): void {
    this.#state = 'over'
    this.#pending.length = 0
    this.#held.length = 0
    this.#asked.length = 0
  }

  #isFull(): boolean {
    if (this.#state === 'over') return false
    return (this.#isBlocked || this.#asked.length > 0) && this.#pendingBytes >= HIGH_WATER_BYTES
  }

  #feed(): void {
    if (!this.#isSourceStopped || this.#isFull()) return
    this.#isSourceStopped = false
    this.#owner.gateHungry()
  }

  #advance(): void {
    if (this.#state === 'open') this.#pass()
    for (let before = -1; before !== this.#chunkIndex; ) {
      before = this.#chunkIndex
      if (this.#mayAsk()) this.#askNext()
    }
  }

  /** What goes ahead of a verdict is as large as can be, or the last: small pieces are better asked together. */
  #mayAsk(): boolean {
    if (this.#state !== 'inspecting' || this.#isBlocked || this.#isAskedLast) return false
    const { length } = this.#asked
    if (length === 0) return true
    const bytes = Math.min(this.#pendingBytes, PIECE_BYTES)
    if (length >= MAX_ASKED || (bytes < COALESCE_BYTES && !this.#isEnded)) return false
    return this.#askedBytes - this.#asked[0]!.data.length + bytes <= this.#aheadBytes
  }

  #askNext(): void {
    const room = this.#plan.maxBytes - this.#inspectedBytes
    const isOver = this.#pendingBytes > room
    /* A refusal of what was asked about before says more than the size does. */
    if (isOver && this.#plan.onTooLarge === 'reject' && this.#asked.length > 0) return
    if (isOver) this.#overflow(room)
    else if (this.#plan.mode === 'buffer') {
      if (this.#isEnded) this.#ask(this.#pendingBytes, true)
    } else if (this.#isEnded || this.#pendingBytes >= COALESCE_BYTES) {
      const bytes = Math.min(this.#pendingBytes, PIECE_BYTES)
      this.#ask(bytes, this.#isEnded && bytes === this.#pendingBytes)
    } else if (this.#pendingBytes > 0 && !this.#isFlushDue) {
      this.#isFlushDue = true
      setImmediate(flush, this)
    }
  }

  /** For {@link flush} alone: what waited for fellows goes as it is. */
  flushNow(): void {
    this.#isFlushDue = false
    if (this.#asked.length > 0 || !this.#mayAsk()) return
    if (this.#pendingBytes > 0 && !this.#isEnded) this.#ask(Math.min(this.#pendingBytes, PIECE_BYTES), false)
  }

  #overflow(room: number): void {
    if (this.#plan.onTooLarge === 'reject') {
      this.stop()
      this.#owner.gateOverflowed(
        new WeirError('TOO_LARGE', `the body is larger than the ${this.#plan.maxBytes} bytes allowed here`),
      )
      return
    }
    if (this.#plan.mode === 'stream' && room > PIECE_BYTES) {
      this.#ask(PIECE_BYTES, false)
      return
    }
    this.#isTruncated = true
    this.#ask(room, true)
  }

  #ask(bytes: number, isLast: boolean): void {
    const data = this.#take(bytes)
    const asked: Asked = { data, isLast, verdict: undefined }
    this.#asked.push(asked)
    this.#askedBytes += data.length
    this.#isAskedLast = isLast
    this.#inspectedBytes += data.length
    void this.#owner.gateAsk(data, this.#chunkIndex++, isLast, this.#inspectedBytes).then((verdict) => {
      asked.verdict = verdict
      this.#settle()
    })
  }

  /** Joins only when the bytes lie in several buffers. */
  #take(bytes: number): Buffer {
    const first = this.#pending[0]
    if (first === undefined || bytes === 0) return EMPTY
    this.#pendingBytes -= bytes
    if (first.length > bytes) {
      this.#pending[0] = first.subarray(bytes)
      return first.subarray(0, bytes)
    }
    if (first.length === bytes) {
      this.#pending.shift()
      return first
    }
    const parts: Buffer[] = []
    let missing = bytes
    while (missing > 0) {
      const part = this.#pending[0]!
      if (part.length > missing) {
        parts.push(part.subarray(0, missing))
        this.#pending[0] = part.subarray(missing)
        missing = 0
      } else {
        parts.push(part)
        this.#pending.shift()
        missing -= part.length
      }
    }
    return Buffer.concat(parts, bytes)
  }

  /** Carries out the verdicts that are known, as far as none is missing before them. */
  #settle(): void {
    while (this.#asked.length > 0 && this.#asked[0]!.verdict !== undefined) {
      const { data, isLast, verdict } = this.#asked.shift()!
      this.#askedBytes -= data.length
      this.#carryOut(verdict!, data, isLast)
    }
    if (this.#state === 'over') return
    this.#advance()
    this.#feed()
  }

  #carryOut(verdict: Verdict, asked: Uint8Array, isLast: boolean): void {
    const isProvisional = verdict.needsMore && !isLast && verdict.error === undefined
    if (verdict.decision.kind !== 'allow' && !isProvisional) {
      this.stop()
      this.#owner.gateDenied(verdict)
      return
    }
    const data = verdict.bodyMutation?.data ?? asked
    this.#growth += data.length - asked.length
    this.#held.push(data)
    this.#heldBytes += data.length
    if (!isProvisional) {
      if (isLast && this.#isTruncated) {
        this.#state = 'open'
        this.#owner.gateSkipped()
      } else if (isLast) this.#isWhole = true
      this.#owner.gateAllowed(verdict)
      this.#release()
      if (this.#isWhole) {
        this.#state = 'over'
        this.#owner.gateEnded()
      }
    }
  }

  #release(): void {
    const held = this.#held
    this.#held = []
    for (const data of held) {
      this.#heldBytes -= data.length
      this.#forward(data)
    }
  }

  #forward(data: Uint8Array): void {
    if (data.length === 0) return
    this.#forwardedBytes += data.length
    if (!this.#owner.gateForward(data)) this.#isBlocked = true
  }

  /** The limit was reached and the plan says skip. */
  #pass(): void {
    while (!this.#isBlocked && this.#pending.length > 0) {
      const chunk = this.#pending.shift()!
      this.#pendingBytes -= chunk.length
      this.#forward(chunk)
    }
    if (this.#isEnded && this.#pending.length === 0 && this.#state === 'open') {
      this.#state = 'over'
      this.#owner.gateEnded()
    }
  }
}

const EMPTY = Buffer.alloc(0)

function flush(gate: BodyGate): void {
  gate.flushNow()
}
