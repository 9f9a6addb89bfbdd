import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Connection, HandshakeOptions, TransportName } from '../../../src/transport/connection.ts'
import { grpcDialer } from '../../../src/transport/grpc/grpc-dialer.ts'
import { listenGrpc } from '../../../src/transport/grpc/grpc-listener.ts'
import type { GrpcImplementation } from '../../../src/transport/grpc/grpc-options.ts'
import type { Listener, ProxyLink } from '../../../src/transport/proxy-link.ts'
import { dialReverse } from '../../../src/transport/reverse/reverse-dialer.ts'
import { listenReverse } from '../../../src/transport/reverse/reverse-listener.ts'
import type { TlsClientOptions, TlsServerOptions } from '../../../src/transport/tls-options.ts'
import { udsDialer } from '../../../src/transport/uds/uds-dialer.ts'
import { listenUds } from '../../../src/transport/uds/uds-listener.ts'
import type { Encoding } from '../../../src/wire/codec.ts'
import { temporaryFolder } from '../../support/temp-folder.ts'
import { certificates } from './certificates.ts'
import type { ScriptedAgent } from './scripted-agent.ts'

/** An agent that can be connected to, several times, over one transport. */
export interface Rig {
  connect(handshake?: Partial<HandshakeOptions>, signal?: AbortSignal): Promise<Connection>
  /** Ends the side that listens. */
  close(): Promise<void>
}

export interface TransportCase {
  readonly name: string
  readonly transport: TransportName
  /** Whether the wire carries log messages and body mutations. */
  readonly isGrpc: boolean
  /** Whether a configuration is delivered while the connection is made. */
  readonly configuresAtConnect: boolean
  rig(test: TestContext, agent: ScriptedAgent): Promise<Rig>
}

export const HANDSHAKE: HandshakeOptions = {
  proxyId: 'weir',
  proxyVersion: '0.1.0',
  connectTimeoutMs: 5000,
  configTimeoutMs: 5000,
}

export const TRANSPORTS: readonly TransportCase[] = [
  uds('UDS, JSON', ['json']),
  uds('UDS, MessagePack', ['msgpack', 'json']),
  grpc('gRPC, http2 to http2', 'http2', 'http2'),
  grpc('gRPC, http2 to grpc-js', 'http2', 'grpc-js'),
  grpc('gRPC, grpc-js to http2', 'grpc-js', 'http2'),
  grpc('gRPC over TLS', 'http2', 'http2', () => ({
    server: certificates().server,
    client: { ca: certificates().ca },
  })),
  grpc('gRPC over mutual TLS', 'http2', 'http2', mutualTls),
  grpc('gRPC over mutual TLS, http2 to grpc-js', 'http2', 'grpc-js', mutualTls),
  grpc('gRPC over mutual TLS, grpc-js to http2', 'grpc-js', 'http2', mutualTls),
  reverse('reverse over a Unix socket', 'unix', ['json']),
  reverse('reverse over a Unix socket, MessagePack', 'unix', ['msgpack', 'json']),
  reverse('reverse over TCP', 'tcp', ['json']),
  reverse('reverse over mutual TLS', 'tls', ['json']),
]

interface TlsPair {
  readonly server: TlsServerOptions
  readonly client: TlsClientOptions
}

function mutualTls(): TlsPair {
  const { ca, server, client } = certificates()
  return { server: { ...server, clientCa: ca }, client: { ca, ...client } }
}

function uds(name: string, encodings: readonly Encoding[]): TransportCase {
  return {
    name,
    transport: 'uds',
    isGrpc: false,
    configuresAtConnect: true,
    async rig(test, agent) {
      const path = join(await temporaryFolder(test), 'a.sock')
      const listener = await closedAfter(test, listenUds(path, agent.options))
      return {
        connect: (handshake, signal) =>
          udsDialer(path, { ...HANDSHAKE, ...handshake }, { encodings }).dial(signal ?? never()),
        close: () => listener.close(),
      }
    },
  }
}

function grpc(
  name: string,
  dialer: GrpcImplementation,
  server: GrpcImplementation,
  tlsPair?: () => TlsPair,
): TransportCase {
  return {
    name,
    transport: 'grpc',
    isGrpc: true,
    configuresAtConnect: true,
    async rig(test, agent) {
      const tls = tlsPair?.()
      const listening = listenGrpc('127.0.0.1:0', agent.options, { implementation: server, tls: tls?.server })
      const listener = await closedAfter(test, listening)
      const scheme = tls === undefined ? 'grpc' : 'grpcs'
      const target = `${scheme}://localhost:${listener.port}`
      const options = { implementation: dialer, tls: tls?.client, rotation: () => 0 }
      return {
        connect: (handshake, signal) =>
          grpcDialer(target, { ...HANDSHAKE, ...handshake }, options).dial(signal ?? never()),
        close: () => listener.close(),
      }
    },
  }
}

function reverse(name: string, kind: 'unix' | 'tcp' | 'tls', encodings: readonly Encoding[]): TransportCase {
  return {
    name,
    transport: 'reverse',
    isGrpc: false,
    configuresAtConnect: false,
    async rig(test, agent) {
      const tls = kind === 'tls' ? mutualTls() : undefined
      const path = `unix:${join(await temporaryFolder(test), 'r.sock')}`
      const arrivals: ((connection: Connection) => void)[] = []
      let admitted = 0
      const listening = listenReverse(kind === 'unix' ? path : `${kind}://127.0.0.1:0`, {
        proxyId: HANDSHAKE.proxyId,
        proxyVersion: HANDSHAKE.proxyVersion,
        tls: tls?.server,
        admit: async () => ({ isAdmitted: true, connectionId: `c-${++admitted}` }),
        onConnection: (connection) => arrivals.shift()!(connection),
      })
      const listener = await closedAfter(test, listening)
      const links: ProxyLink[] = []
      test.after(() => Promise.all(links.map((link) => link.close())))
      return {
        async connect() {
          const arrival = new Promise<Connection>((resolve) => arrivals.push(resolve))
          const { options } = agent
          const address = kind === 'unix' ? path : `${kind}://localhost:${listener.port}`
          links.push(
            await dialReverse(address, { agentId: 'waf', agent: options, tls: tls?.client, encodings }),
          )
          return arrival
        },
        close: () => listener.close(),
      }
    },
  }
}

export function never(): AbortSignal {
  return new AbortController().signal
}

async function closedAfter(test: TestContext, listening: Promise<Listener>): Promise<Listener> {
  const listener = await listening
  test.after(() => listener.close())
  return listener
}
