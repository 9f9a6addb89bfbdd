import { connect, type Socket } from 'node:net'
import { CorrelationIds } from '../../src/core/correlation-id.ts'
import type { AgentEvent } from '../../src/core/event.ts'
import type { AgentReply } from '../../src/core/reply.ts'
import { ByteWriter } from '../../src/wire/byte-writer.ts'
import type { AgentMessageSink, Encoding } from '../../src/wire/codec.ts'
import { udsProxyCodec } from '../../src/wire/uds/proxy-codec.ts'

/**
 * Bare sockets that play ping-pong with an agent: the same frames and codec as the pool, nothing around them. No
 * deadlines, no choice, no matching of replies (each socket just sends the next event), no promises.
 */
export class BareSockets {
  readonly #sockets: BareSocket[]
  #next = 0

  private constructor(sockets: BareSocket[]) {
    this.#sockets = sockets
  }

  static async open(path: string, count: number, encoding: Encoding): Promise<BareSockets> {
    const ids = new CorrelationIds()
    const sockets = Array.from({ length: count }, () => new BareSocket(path, encoding, ids))
    await Promise.all(sockets.map((socket) => socket.ready))
    return new BareSockets(sockets)
  }

  /** Keeps `inFlight` events going for `durationMs`; events per second. */
  async run(event: (id: string) => AgentEvent, inFlight: number, durationMs: number): Promise<number> {
    const startedAt = performance.now()
    const until = startedAt + durationMs
    const shares = this.#sockets.map((_, index) => Math.floor((inFlight + index) / this.#sockets.length))
    const counts = await Promise.all(
      this.#sockets.map((socket, index) => socket.pingPong(event, shares[index]!, until)),
    )
    const total = counts.reduce((sum, count) => sum + count, 0)
    return (total * 1000) / (performance.now() - startedAt)
  }

  /** One event on the next socket in turn, matched with its reply: for loads that keep no number in flight. */
  readonly request = (event: (id: string) => AgentEvent): Promise<boolean> => {
    const socket = this.#sockets[this.#next]!
    this.#next = (this.#next + 1) % this.#sockets.length
    return socket.request(event)
  }

  close(): void {
    for (const socket of this.#sockets) socket.close()
  }
}

class BareSocket implements AgentMessageSink {
  readonly ready: Promise<void>
  readonly #socket: Socket
  readonly #codec = udsProxyCodec()
  readonly #ids: CorrelationIds
  #isReady!: () => void
  #out = new ByteWriter(64 * 1024)
  #spare: ByteWriter | undefined = new ByteWriter(64 * 1024)
  #event: ((id: string) => AgentEvent) | undefined
  #until = 0
  #outstanding = 0
  #count = 0
  #done: ((count: number) => void) | undefined
  readonly #asked = new Map<string, (isAllowed: boolean) => void>()

  constructor(path: string, encoding: Encoding, ids: CorrelationIds) {
    this.#ids = ids
    this.ready = new Promise((resolve) => {
      this.#isReady = resolve
    })
    this.#socket = connect(path)
    const reader = this.#codec.reader(this)
    this.#socket.on('data', (chunk: Buffer) => {
      reader.push(chunk)
      this.#flush()
    })
    this.#codec.writeHandshake(
      {
        supportedVersions: [2],
        proxyId: 'weir',
        proxyVersion: '0.6.54',
        config: null,
        supportedEncodings: encoding === 'msgpack' ? ['msgpack', 'json'] : ['json'],
      },
      this.#out,
    )
    this.#flush()
  }

  pingPong(event: (id: string) => AgentEvent, share: number, until: number): Promise<number> {
    this.#event = event
    this.#until = until
    this.#count = 0
    if (share === 0) return Promise.resolve(0)
    return new Promise((resolve) => {
      this.#done = resolve
      for (let n = 0; n < share; n++) this.#send()
      this.#flush()
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  request(event: (id: string) => AgentEvent): Promise<boolean> {
    return new Promise((resolve) => {
      const id = this.#ids.next()
      this.#asked.set(id, resolve)
      if (this.#out.end === 0) queueMicrotask(() => this.#flush())
      this.#codec.writeEvent(event(id), this.#out)
    })
  }

  onReply(reply: AgentReply): void {
    const asked = this.#asked.get(reply.correlationId)
    if (asked !== undefined) {
      this.#asked.delete(reply.correlationId)
      asked(reply.decision.kind === 'allow')
      return
    }
    if (reply.decision.kind !== 'allow') throw new Error('the agent refused')
    this.#outstanding--
    this.#count++
    if (performance.now() < this.#until) this.#send()
    else if (this.#outstanding === 0) this.#done?.(this.#count)
  }

  onHandshakeResponse(response: { readonly encoding: Encoding }): void {
    this.#codec.useEncoding(response.encoding)
    this.#isReady()
  }

  onMalformedReply(): void {
    throw new Error('malformed reply')
  }

  onRegistration(): void {}
  onHealth(): void {}
  onMetrics(): void {}
  onConfigUpdate(): void {}
  onFlow(): void {}
  onLog(): void {}
  onPong(): void {}
  onMalformedControl(): void {}

  #send(): void {
    this.#codec.writeEvent(this.#event!(this.#ids.next()), this.#out)
    this.#outstanding++
  }

  #flush(): void {
    const out = this.#out
    if (out.end === 0) return
    this.#socket.write(out.bytes.subarray(0, out.end), () => {
      this.#spare = out
    })
    /* Two buffers in turn, unless the kernel has not taken the other one yet. */
    this.#out = this.#spare ?? new ByteWriter(64 * 1024)
    this.#out.end = 0
    this.#spare = undefined
  }
}
