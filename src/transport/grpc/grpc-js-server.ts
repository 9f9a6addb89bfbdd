import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServiceDefinition,
} from '@grpc/grpc-js'
import { systemClock } from '../../core/clock.ts'
import { WeirError } from '../../core/errors.ts'
import { grpcAgentCodec } from '../../wire/grpc/agent-codec.ts'
import { PROCESS_STREAM_PATH } from '../../wire/grpc/service.ts'
import { AgentLink } from '../agent-end/agent-link.ts'
import { AgentLinks } from '../agent-end/agent-links.ts'
import { type ChannelListener, MAX_MESSAGE_BYTES } from '../channel/byte-channel.ts'
import { hostPort } from '../channel/host-port.ts'
import type { AgentEndOptions, Listener } from '../proxy-link.ts'
import type { TlsServerOptions } from '../tls-options.ts'
import { GRPC_TRAITS, metadataOf } from './agent-service.ts'
import { GrpcJsChannel } from './grpc-js-channel.ts'
import type { GrpcListenerOptions } from './grpc-options.ts'

const AGENT_SERVICE: ServiceDefinition = {
  ProcessStream: {
    path: PROCESS_STREAM_PATH,
    requestStream: true,
    responseStream: true,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  },
}

/** The reference server: ProcessStream alone, on @grpc/grpc-js. */
export async function listenGrpcJs(
  { host, port, tls }: { host: string; port: number; tls: TlsServerOptions | undefined },
  agent: AgentEndOptions,
  options: GrpcListenerOptions,
): Promise<Listener> {
  const links = new AgentLinks()
  const clock = options.clock ?? systemClock
  const maxMessageBytes = options.limits?.maxPayloadBytes ?? MAX_MESSAGE_BYTES
  const codec = grpcAgentCodec({ ...options.limits, maxPayloadBytes: maxMessageBytes })
  const server = new Server({
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': -1,
  })
  server.addService(AGENT_SERVICE, {
    ProcessStream: (call: ServerDuplexStream<Buffer, Buffer>) => {
      /* grpc-js would hold the headers back until the first message. */
      call.sendMetadata(new Metadata())
      const peer = call.getPeer()
      const traits = { ...GRPC_TRAITS, maxMessageBytes, metadata: metadataOf(call.metadata.getMap()) }
      links.add(new AgentLink(new GrpcJsChannel(call, serverEnding(call), peer), codec, traits, agent, clock))
    },
  })
  const bound = await bind(server, hostPort(host, port), credentialsOf(tls))
  let closing: Promise<void> | undefined
  return {
    address: `${tls === undefined ? 'grpc' : 'grpcs'}://${hostPort(host, bound)}`,
    port: bound,
    close(): Promise<void> {
      closing ??= (async () => {
        await links.closeAll()
        server.forceShutdown()
      })()
      return closing
    },
  }
}

function serverEnding(call: ServerDuplexStream<Buffer, Buffer>) {
  let isClosed = false
  return {
    watch(listener: ChannelListener): void {
      const onClosed = (error: WeirError | undefined): void => {
        if (isClosed) return
        isClosed = true
        listener.onClosed(error)
      }
      call.on('error', () => {})
      call.once('end', () => {
        if (!call.cancelled) listener.onEnd(undefined)
      })
      call.once('cancelled', () =>
        onClosed(new WeirError('CONNECTION_LOST', `${call.getPeer()} cancelled its call`)),
      )
      call.once('finish', () => setImmediate(onClosed, undefined))
      call.once('close', () => onClosed(undefined))
    },
    end(reason: WeirError | undefined): void {
      if (reason === undefined || reason.code === 'CONNECTION_LOST') call.end()
      else call.emit('error', { code: reason.grpcStatus, details: reason.message })
    },
    destroy(): void {
      call.destroy()
    },
  }
}

function bind(server: Server, address: string, credentials: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, port) => {
      if (error === null) resolve(port)
      else
        reject(new WeirError('CONFLICT', `cannot listen on ${address}: ${error.message}`, { cause: error }))
    })
  })
}

function credentialsOf(tls: TlsServerOptions | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure()
  const ca = tls.clientCa === undefined ? null : Buffer.from(tls.clientCa)
  const pair = { cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) }
  return ServerCredentials.createSsl(ca, [pair], ca !== null)
}

function identity(message: Buffer): Buffer {
  return message
}
