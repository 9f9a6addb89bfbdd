import { Client, type ClientDuplexStream, credentials, status as grpcStatus, Metadata } from '@grpc/grpc-js'
import { PROCESS_STREAM_PATH } from '../../wire/grpc/service.ts'
import { type ChannelListener, MAX_MESSAGE_BYTES } from '../channel/byte-channel.ts'
import { hostPort } from '../channel/host-port.ts'
import type { TlsClientOptions } from '../tls-options.ts'
import { GrpcJsChannel, lostCall } from './grpc-js-channel.ts'
import type { GrpcDialerOptions } from './grpc-options.ts'
import { errorOfStatus } from './grpc-status.ts'
import type { GrpcTarget } from './http2-connect.ts'

/** The reference dialer. grpc-js chooses among a name's addresses itself, so `rotation` is not used. */
export async function connectGrpcJs(
  { host, port, tls, endpoint }: GrpcTarget,
  _rotation: () => number,
  options: GrpcDialerOptions,
  signal: AbortSignal,
): Promise<GrpcJsChannel> {
  signal.throwIfAborted()
  const client = new Client(hostPort(host, port), credentialsOf(tls), {
    /* Without it every connection to one address would share one TCP connection. */
    'grpc.use_local_subchannel_pool': 1,
    'grpc.max_receive_message_length': options.limits?.maxPayloadBytes ?? MAX_MESSAGE_BYTES,
    /* The codec has its own limit. */
    'grpc.max_send_message_length': -1,
    'grpc.enable_retries': 0,
    ...(tls?.serverName === undefined ? {} : { 'grpc.ssl_target_name_override': tls.serverName }),
    ...(options.keepalive === undefined
      ? {}
      : {
          'grpc.keepalive_time_ms': options.keepalive.intervalMs,
          'grpc.keepalive_timeout_ms': options.keepalive.timeoutMs,
        }),
  })
  const call = client.makeBidiStreamRequest(PROCESS_STREAM_PATH, identity, identity, new Metadata())
  return new GrpcJsChannel(call, clientEnding(client, call, endpoint), endpoint)
}

function clientEnding(client: Client, call: ClientDuplexStream<Buffer, Buffer>, endpoint: string) {
  return {
    watch(listener: ChannelListener): void {
      /* The status says it all; grpc-js repeats it as an error. */
      call.on('error', () => {})
      call.once('status', ({ code, details }) => {
        /* Statuses of a broken connection are made up locally and look like any other, but for these. */
        if (code === grpcStatus.UNAVAILABLE || code === grpcStatus.CANCELLED || code === grpcStatus.INTERNAL)
          listener.onClosed(lostCall(endpoint, new Error(details)))
        else {
          listener.onEnd(errorOfStatus(code, details, endpoint))
          listener.onClosed(undefined)
        }
        client.close()
      })
    },
    end: (): void => void call.end(),
    destroy: (): void => call.cancel(),
  }
}

function credentialsOf(tls: TlsClientOptions | undefined) {
  if (tls === undefined) return credentials.createInsecure()
  return credentials.createSsl(bytesOf(tls.ca), bytesOf(tls.key), bytesOf(tls.cert), {
    rejectUnauthorized: tls.insecureSkipVerify !== true,
  })
}

function bytesOf(pem: string | Buffer | undefined): Buffer | null {
  return pem === undefined ? null : Buffer.from(pem)
}

function identity(message: Buffer): Buffer {
  return message
}
