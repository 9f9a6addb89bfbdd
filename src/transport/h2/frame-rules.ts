import { FLAG, FRAME } from './frames.ts'
import { H2_ERROR, Violation } from './violation.ts'

/** Bytes of a frame that is gathered before it is looked at; header blocks have a bound of their own. */
const MAX_GATHERED_BYTES = 16 * 1024

/** What holds for every frame of a type: whether it belongs to a stream, and its length (RFC 9113, section 6). */
interface Rule {
  readonly name: string
  /** Undefined: either. */
  readonly isOfStream: boolean | undefined
  /** Undefined: any. */
  readonly bytes: number | undefined
}

/** By type; types beyond are unknown and skipped. */
const RULES: readonly Rule[] = [
  { name: 'DATA', isOfStream: true, bytes: undefined },
  { name: 'HEADERS', isOfStream: true, bytes: undefined },
  { name: 'PRIORITY', isOfStream: true, bytes: 5 },
  { name: 'RST_STREAM', isOfStream: true, bytes: 4 },
  { name: 'SETTINGS', isOfStream: false, bytes: undefined },
  { name: 'PUSH_PROMISE', isOfStream: true, bytes: undefined },
  { name: 'PING', isOfStream: false, bytes: 8 },
  { name: 'GOAWAY', isOfStream: false, bytes: undefined },
  { name: 'WINDOW_UPDATE', isOfStream: undefined, bytes: 4 },
  { name: 'CONTINUATION', isOfStream: true, bytes: undefined },
]

/** Bytes in front of GOAWAY's text: the last stream and the code. */
export const GOAWAY_BYTES = 8

/** @throws Violation for a frame that no peer may send, whatever came before */
export function checkFrame(type: number, flags: number, stream: number, length: number): void {
  const rule = RULES[type]
  if (rule === undefined) return
  const { name, isOfStream, bytes } = rule
  if (isOfStream !== undefined && isOfStream !== (stream !== 0))
    throw new Violation(H2_ERROR.protocol, `a ${name} frame on stream ${stream}`)
  if (type === FRAME.pushPromise) throw new Violation(H2_ERROR.protocol, 'a push, which was refused')
  const isAck = type === FRAME.settings && (flags & FLAG.ack) !== 0
  const isShort = type === FRAME.goaway && length < GOAWAY_BYTES
  if ((bytes !== undefined && length !== bytes) || (isAck && length > 0) || isShort)
    throw new Violation(H2_ERROR.frameSize, `a ${name} frame of ${length} bytes`)
  if (length > MAX_GATHERED_BYTES && (type === FRAME.settings || type === FRAME.goaway))
    throw new Violation(H2_ERROR.enhanceYourCalm, `a ${name} frame of ${length} bytes`)
}
