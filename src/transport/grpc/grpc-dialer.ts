import { systemClock } from '../../core/clock.ts'
import { WeirError } from '../../core/errors.ts'
import { grpcProxyCodec } from '../../wire/grpc/proxy-codec.ts'
import { MAX_MESSAGE_BYTES } from '../channel/byte-channel.ts'
import { hostPort } from '../channel/host-port.ts'
import type { Dialer, HandshakeOptions } from '../connection.ts'
import { parseEndpoint } from '../endpoint.ts'
import { HandshakeDialer } from '../proxy-end/handshake-dialer.ts'
import { connectGrpcJs } from './grpc-js-connect.ts'
import type { GrpcDialerOptions } from './grpc-options.ts'
import { connectHttp2, type GrpcTarget } from './http2-connect.ts'

/**
 * Dials an agent over gRPC, one TCP connection per `Connection`.
 * @param target `grpc://host:port`, `http://host:port`, `grpcs://host:port`, or `https://` with `options.tls`
 * @throws WeirError INVALID_ARGUMENT
 */
export function grpcDialer(
  target: string,
  handshake: HandshakeOptions,
  options: GrpcDialerOptions = {},
): Dialer {
  const grpcTarget = targetOf(target, options)
  const maxMessageBytes = options.limits?.maxPayloadBytes ?? MAX_MESSAGE_BYTES
  let turn = 0
  const rotation = options.rotation ?? ((): number => turn++)
  const connect = options.implementation === 'grpc-js' ? connectGrpcJs : connectHttp2
  return new HandshakeDialer(
    {
      endpoint: grpcTarget.endpoint,
      traits: { transport: 'grpc', configureAck: 'pong', isExclusive: false, maxMessageBytes },
      versions: [2, 1],
      encodings: [],
      codec: () => grpcProxyCodec({ ...options.limits, maxPayloadBytes: maxMessageBytes }),
      connect: (signal) => connect(grpcTarget, rotation, options, signal),
    },
    handshake,
    options.clock ?? systemClock,
  )
}

function targetOf(text: string, { tls }: GrpcDialerOptions): GrpcTarget {
  const endpoint = parseEndpoint(text)
  if (endpoint.kind !== 'grpc')
    throw new WeirError('INVALID_ARGUMENT', `"${text}" is not a gRPC endpoint; expected grpc://host:port`)
  const { host, port, security } = endpoint
  const place = hostPort(host, port)
  if (security === 'explicit-tls' && tls === undefined)
    throw new WeirError('INVALID_ARGUMENT', `"${text}" needs tls options; or write grpcs://${place}`)
  if (security === 'plaintext' && tls !== undefined)
    throw new WeirError(
      'INVALID_ARGUMENT',
      `"${text}" is plaintext but has tls options; write grpcs://${place}`,
    )
  const isTls = security !== 'plaintext'
  return {
    endpoint: `${isTls ? 'grpcs' : 'grpc'}://${place}`,
    host,
    port,
    tls: isTls ? (tls ?? {}) : undefined,
  }
}
