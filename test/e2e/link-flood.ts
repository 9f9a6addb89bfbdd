import { ByteWriter } from '../../src/wire/byte-writer.ts'
import type { Encoding } from '../../src/wire/codec.ts'
import { udsProxyCodec } from '../../src/wire/uds/proxy-codec.ts'
import { bodyChunk, requestHeaders, responseHeaders } from '../support/sample-events.ts'
import { CAPABILITIES, frame } from '../transport/support/raw-peer.ts'
import type { Noise } from './noise.ts'
import { lanes, open, talk } from './talk.ts'

const HELLO = {
  supported_versions: [2],
  proxy_id: 'weir',
  proxy_version: '0.1.0',
  config: null,
  supported_encodings: ['json'],
}
const REGISTRATION = {
  protocol_version: 2,
  agent_id: 'hostile',
  capabilities: CAPABILITIES,
  auth_token: 'wrong',
  metadata: null,
}

/** First messages that no listener may take. Each ends its connection. */
const WRONG_STARTS: readonly Buffer[] = [
  frame(0x01, { ...HELLO, supported_versions: [1, 3] }),
  frame(0x01, { ...HELLO, supported_versions: 'all' }),
  frame(0x01, { ...REGISTRATION, protocol_version: 1 }),
  frame(0x01, { ...REGISTRATION, agent_id: '' }),
  frame(0x01, REGISTRATION),
  frame(0x01, []),
  frame(0x02, { success: true }),
  frame(0x10, { correlation_id: 'early' }),
  frame(0x20, { version: 2, decision: 'allow' }),
  frame(0x42, { sequence: 1 }),
  Buffer.from('0000000001', 'hex'),
  Buffer.from('0100000101', 'hex'),
  Buffer.from('ffffffff01', 'hex'),
  Buffer.from('GET / HTTP/1.1\r\nHost: h\r\n\r\n'),
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from('16030100a5010000a10303', 'hex'),
]
const SOUND_STARTS: readonly Buffer[] = [frame(0x01, HELLO), frame(0x01, REGISTRATION)]

/** Wrong, damaged and meaningless first messages, each on a connection of its own. Returns how many were sent. */
export async function breakGreetings(path: string, noise: Noise, times: number): Promise<number> {
  await lanes(times, 16, async (n) => {
    const kinds = [noise.pick(WRONG_STARTS), noise.damaged(noise.pick(SOUND_STARTS)), noise.bytes(300)]
    await talk(path, kinds[n % 3]!)
  })
  return times
}

const BATCH = 200

/** Sound events, to be damaged. Ids repeat, so some are the same request twice. */
function events(encoding: Encoding): readonly Buffer[] {
  const codec = udsProxyCodec()
  codec.useEncoding(encoding)
  return [requestHeaders('twice'), bodyChunk('twice', 'some body'), responseHeaders('twice')].map((event) => {
    const out = new ByteWriter()
    codec.writeEvent(event, out)
    return Buffer.from(out.bytes.subarray(5, out.end))
  })
}

/**
 * Shakes hands as a proxy does and then sends frames of sound length and unsound content, with a ping behind each batch.
 * Returns how many were taken: those before a ping that was answered, and one for each link that was cut.
 */
export async function babbleOnLinks(
  path: string,
  encoding: Encoding,
  noise: Noise,
  times: number,
): Promise<number> {
  const sound = events(encoding)
  const types = [0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x20, 0x30, 0x33, 0x40, 0x50, 0xff]
  let taken = 0
  while (taken < times) {
    const link = await Link.open(path, encoding)
    let isAlive = true
    while (isAlive && taken < times) {
      const frames = Array.from({ length: BATCH }, (_, n) =>
        n % 3 === 0
          ? frame(noise.pick([0x10, 0x11, 0x12]), noise.damaged(noise.pick(sound)))
          : frame(noise.pick(types), noise.bytes(120)),
      )
      frames.push(frame(0x10, sound[0]!), frame(0x10, sound[0]!))
      isAlive = await link.survives(Buffer.concat(frames))
      taken += isAlive ? frames.length : 1
    }
    link.end()
  }
  return taken
}

/** A proxy's connection by hand: a handshake, then whatever comes. */
class Link {
  readonly #socket: Awaited<ReturnType<typeof open>>
  #held = Buffer.alloc(0)
  #sequence = 0
  #onFrame: (type: number, payload: Buffer) => void = () => undefined
  #onClosed: () => void = () => undefined

  private constructor(socket: Awaited<ReturnType<typeof open>>) {
    this.#socket = socket
    socket.on('data', (chunk) => this.#take(chunk))
    socket.once('close', () => this.#onClosed())
  }

  static async open(path: string, encoding: Encoding): Promise<Link> {
    const link = new Link(await open(path))
    await new Promise<void>((resolve, reject) => {
      link.#onFrame = () => resolve()
      link.#onClosed = () => reject(new Error('the handshake was refused'))
      link.#socket.write(frame(0x01, { ...HELLO, supported_encodings: [encoding, 'json'] }))
    })
    return link
  }

  /** Sends frames and a ping; resolves with whether the ping was answered before the link was cut. */
  survives(frames: Buffer): Promise<boolean> {
    const echo = Buffer.from(JSON.stringify({ sequence: ++this.#sequence, timestamp_ms: 1 }))
    return new Promise((resolve) => {
      this.#onFrame = (type, payload) => {
        if (type === 0x42 && payload.equals(echo)) resolve(true)
      }
      this.#onClosed = () => resolve(false)
      this.#socket.write(Buffer.concat([frames, frame(0x41, echo)]))
    })
  }

  end(): void {
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    this.#held = Buffer.concat([this.#held, chunk])
    let at = 0
    while (this.#held.length - at >= 5) {
      const end = at + 4 + this.#held.readUInt32BE(at)
      if (end > this.#held.length) break
      this.#onFrame(this.#held[at + 4]!, this.#held.subarray(at + 5, end))
      at = end
    }
    this.#held = this.#held.subarray(at)
  }
}
