import {
  DEFAULT_FRAME_BYTES,
  DEFAULT_WINDOW_BYTES,
  MAX_FRAME_BYTES,
  MAX_WINDOW_BYTES,
  SETTING,
} from './frames.ts'
import { H2_ERROR, Violation } from './violation.ts'

/** Bytes of one setting: its number and its value (RFC 9113, section 6.5.1). */
const ENTRY_BYTES = 6

/** Says that the header table holds nothing from here on (RFC 7541, section 6.3). */
const EMPTY_TABLE = Buffer.of(0x20)

/** What the peer announced and we keep to. Its limits on what we never use need no keeping. */
export class PeerSettings {
  /** The window that its streams begin with, bytes. */
  initialWindowBytes = DEFAULT_WINDOW_BYTES
  /** The largest frame it takes, bytes of payload. */
  maxFrameBytes = DEFAULT_FRAME_BYTES
  readonly #isServer: boolean
  /** The size of its header table came, and no header block of ours has answered to it. */
  #isTableNoted = true

  /** `isServer`: the peer is one. */
  constructor(isServer: boolean) {
    this.#isServer = isServer
  }

  /** Takes over a SETTINGS frame. @throws Violation */
  read(payload: Buffer): void {
    if (payload.length % ENTRY_BYTES !== 0)
      throw new Violation(H2_ERROR.frameSize, `settings of ${payload.length} bytes`)
    for (let at = 0; at < payload.length; at += ENTRY_BYTES)
      this.#set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2))
  }

  /**
   * `block` as it has to leave: the first one after the peer set the size of its header table must begin with the size
   * that we use of it (RFC 7541, section 4.2), which is none. What is returned must leave, and in this order.
   */
  blockToSend(block: Buffer): Buffer {
    if (this.#isTableNoted) return block
    this.#isTableNoted = true
    return Buffer.concat([EMPTY_TABLE, block])
  }

  /** RFC 9113, section 6.5.2. Unknown settings are ignored. */
  #set(id: number, value: number): void {
    if (id === SETTING.initialWindowSize) {
      if (value > MAX_WINDOW_BYTES)
        throw new Violation(H2_ERROR.flowControl, `a first window of ${value} bytes`)
      this.initialWindowBytes = value
    } else if (id === SETTING.maxFrameSize) {
      if (value < DEFAULT_FRAME_BYTES || value > MAX_FRAME_BYTES)
        throw new Violation(H2_ERROR.protocol, `frames of at most ${value} bytes`)
      this.maxFrameBytes = value
    } else if (id === SETTING.headerTableSize) this.#isTableNoted = false
    else if (id === SETTING.enablePush && (value > 1 || (value === 1 && this.#isServer)))
      throw new Violation(H2_ERROR.protocol, `a setting of pushes of ${value}`)
  }
}
