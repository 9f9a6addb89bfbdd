import { WeirError } from '../../core/errors.ts'

/** Error codes that are sent and received (RFC 9113, section 7). */
export const H2_ERROR = {
  none: 0x0,
  protocol: 0x1,
  internal: 0x2,
  flowControl: 0x3,
  streamClosed: 0x5,
  frameSize: 0x6,
  refusedStream: 0x7,
  cancel: 0x8,
  compression: 0x9,
  enhanceYourCalm: 0xb,
} as const

/** The peer broke HTTP/2: nothing that follows can be trusted, so the whole connection ends with `http2Code`. */
export class Violation extends WeirError {
  readonly http2Code: number

  constructor(http2Code: number, message: string) {
    super('PROTOCOL_ERROR', message)
    this.http2Code = http2Code
  }
}
