import { createInterface } from 'node:readline'
import {
  type handleBidiStreamingCall,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  status,
} from '@grpc/grpc-js'
import { agentServiceDefinition } from '../../../src/wire/grpc/service.ts'
import { type Cut, CuttingRelay } from './cutting-relay.ts'

/*
 * A gRPC agent that breaks the rules: `brute-grpc grpc HOST:PORT`. The URI of an event names the fault (`fault=NAME`);
 * events without one are allowed.
 */
type Message = Readonly<Record<string, unknown>> | Buffer
type Stream = ServerDuplexStream<Record<string, unknown>, Message>

const ACCEPTED: Message = {
  handshake: {
    protocol_version: 2,
    success: true,
    capabilities: {
      protocol_version: 2,
      agent_id: 'brute',
      name: 'brute',
      version: '0',
      supported_events: [1],
    },
  },
}

interface Asked {
  readonly id: string
  readonly uri: string
}

const relay = new CuttingRelay()

function response({ id, uri }: Asked, decision: object): Message {
  const set = (name: string, value: string): object => ({ set: { name, value } })
  const request_headers = [set('x-judge', String(process.pid)), set('x-echo', uri)]
  return { response: { correlation_id: id, request_headers, ...decision } }
}

/** Answers, and the answer is cut in the middle of its DATA frame, with the whole connection. */
function cutShort(cut: Cut): (stream: Stream, asked: Asked) => void {
  return (stream, asked) => {
    relay.cut(stream.getPeer(), cut)
    stream.write(response(asked, { allow: {} }))
  }
}

const FAULTS: Readonly<Record<string, (stream: Stream, asked: Asked) => void>> = {
  none: (stream, asked) => stream.write(response(asked, { allow: {} })),
  invented: (stream, asked) => stream.write(response({ ...asked, id: 'nobody-000' }, { allow: {} })),
  nameless: (stream, asked) => stream.write(response({ ...asked, id: '' }, { allow: {} })),
  twice: (stream, asked) => {
    stream.write(response(asked, { allow: {} }))
    stream.write(response(asked, { block: { status: 403 } }))
  },
  'status-42': (stream, asked) => stream.write(response(asked, { block: { status: 42 } })),
  unset: (stream, asked) => stream.write(response(asked, {})),
  /** A message without any of its variants says nothing. */
  empty: (stream) => stream.write({}),
  /** Field 2, a response, that claims more bytes than there are. */
  undecodable: (stream) => stream.write(Buffer.from('127f0a', 'hex')),
  /** The stream ends with an error while the process lives on. */
  reset: (stream) => stream.emit('error', { code: status.INTERNAL, details: 'reset' }),
  'half-frame': cutShort('half-frame'),
  'half-frame-reset': cutShort('half-frame-reset'),
  'half-head': cutShort('half-head'),
}

function serve(stream: Stream): void {
  stream.on('error', () => undefined)
  stream.on('end', () => stream.end())
  stream.on('data', (message: Record<string, unknown>) => {
    if (message['handshake'] !== undefined) stream.write(ACCEPTED)
    const ping = message['ping'] as Record<string, unknown> | undefined
    if (ping !== undefined) stream.write({ pong: { sequence: ping['sequence'], timestamp_ms: Date.now() } })
    const event = message['request_headers'] as
      | { uri: string; metadata: { correlation_id: string } }
      | undefined
    if (event === undefined) return
    const { uri, metadata } = event
    const fault = /fault=([a-z0-9-]+)/.exec(uri)?.[1] ?? 'none'
    FAULTS[fault]!(stream, { id: metadata.correlation_id, uri })
  })
}

const processStream = agentServiceDefinition['ProcessStream']!
const server = new Server()
server.addService(
  {
    ProcessStream: {
      ...processStream,
      responseSerialize: (message: Message) =>
        Buffer.isBuffer(message) ? message : processStream.responseSerialize(message),
    },
  },
  { ProcessStream: serve as unknown as handleBidiStreamingCall<unknown, unknown> },
)
createInterface({ input: process.stdin }).on('close', () => process.exit(0))
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, serverPort) => {
  if (error !== null) throw error
  void relay.listen(process.argv[3]!, serverPort).then((port) => console.log(`ready ${port}`))
})
