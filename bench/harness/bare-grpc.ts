import {
  type Client,
  type ClientDuplexStream,
  credentials,
  makeGenericClientConstructor,
} from '@grpc/grpc-js'
import { CorrelationIds } from '../../src/core/correlation-id.ts'
import { agentServiceDefinition, type ProtoMessage } from '../../src/wire/grpc/service.ts'
import { requestHeaders } from './events.ts'

type Stream = ClientDuplexStream<ProtoMessage, ProtoMessage>

/**
 * What people write first: one bidirectional `@grpc/grpc-js` stream per connection with the generated messages,
 * each reply answered by the next event.
 */
export class BareGrpc {
  readonly #clients: Client[]
  readonly #streams: Stream[]
  readonly #ids = new CorrelationIds()

  private constructor(clients: Client[], streams: Stream[]) {
    this.#clients = clients
    this.#streams = streams
  }

  static async open(address: string, count: number): Promise<BareGrpc> {
    const Agent = makeGenericClientConstructor(agentServiceDefinition, 'AgentServiceV2')
    const clients: Client[] = []
    const streams = await Promise.all(
      Array.from({ length: count }, async () => {
        const client = new Agent(address, credentials.createInsecure(), {
          'grpc.use_local_subchannel_pool': 1,
        })
        clients.push(client)
        const stream = (client['ProcessStream'] as () => Stream)()
        const greeted = new Promise<void>((resolve, reject) => {
          stream.once('data', () => resolve())
          stream.once('error', reject)
        })
        stream.write({
          handshake: { supported_versions: [2, 1], proxy_id: 'bench', proxy_version: '0.6.54' },
        })
        await greeted
        stream.on('error', () => undefined)
        return stream
      }),
    )
    return new BareGrpc(clients, streams)
  }

  /** Keeps `inFlight` events going for `durationMs`; events per second. */
  async run(inFlight: number, durationMs: number): Promise<number> {
    const startedAt = performance.now()
    const until = startedAt + durationMs
    const shares = this.#streams.map((_, index) => Math.floor((inFlight + index) / this.#streams.length))
    const counts = await Promise.all(
      this.#streams.map((stream, index) => this.#pingPong(stream, shares[index]!, until)),
    )
    return (counts.reduce((sum, count) => sum + count, 0) * 1000) / (performance.now() - startedAt)
  }

  close(): void {
    for (const stream of this.#streams) stream.cancel()
    for (const client of this.#clients) client.close()
  }

  #pingPong(stream: Stream, share: number, until: number): Promise<number> {
    if (share === 0) return Promise.resolve(0)
    return new Promise((resolve) => {
      let outstanding = 0
      let count = 0
      const send = (): void => {
        outstanding++
        stream.write({ request_headers: this.#message() })
      }
      const onData = (message: ProtoMessage): void => {
        const response = message['response'] as { readonly allow?: unknown } | undefined
        if (response?.allow === undefined || response.allow === null) throw new Error('the agent refused')
        outstanding--
        count++
        if (performance.now() < until) send()
        else if (outstanding === 0) {
          stream.off('data', onData)
          resolve(count)
        }
      }
      stream.on('data', onData)
      for (let n = 0; n < share; n++) send()
    })
  }

  #message(): ProtoMessage {
    const { metadata, method, uri, headers } = requestHeaders(this.#ids.next())
    const list: { name: string; value: string }[] = []
    for (let at = 0; at < headers.length; at += 2) list.push({ name: headers[at]!, value: headers[at + 1]! })
    return {
      metadata: {
        correlation_id: metadata.requestId,
        request_id: metadata.requestId,
        client_ip: metadata.clientIp,
        client_port: metadata.clientPort,
        server_name: metadata.serverName,
        protocol: metadata.protocol,
        route_id: metadata.routeId,
        upstream_id: metadata.upstreamId,
        timestamp_ms: metadata.timestampMs,
      },
      method,
      uri,
      http_version: metadata.protocol,
      headers: list,
    }
  }
}
