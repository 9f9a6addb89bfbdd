import { createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'

/*
 * An agent that breaks the rules, byte by byte: `brute uds PATH MODE`. It shakes hands and answers pings (unless its mode
 * says otherwise) and treats each event as the mode says; `stuck` reads no more from its first connection. Lines: `seen` (events so far), `mode MODE`, `reset` (drop
 * every connection), `read` (read on after `stuck`).
 */
const [, path = '', firstMode = 'answer'] = process.argv.slice(2)
const sockets = new Set<Socket>()
let mode = firstMode
let seen = 0
let first: Socket | undefined

function frame(type: number, payload: unknown): Buffer {
  const body = Buffer.isBuffer(payload) ? payload : Buffer.from(JSON.stringify(payload))
  const head = Buffer.alloc(5)
  head.writeUInt32BE(body.length + 1)
  head[4] = type
  return Buffer.concat([head, body])
}

const FEATURES = {
  streaming_body: false,
  websocket: false,
  guardrails: false,
  config_push: false,
  metrics_export: false,
  concurrent_requests: 1000,
  cancellation: true,
  flow_control: true,
  health_reporting: true,
}
const ACCEPTED = frame(0x02, {
  protocol_version: 2,
  capabilities: {
    agent_id: 'brute',
    name: 'brute',
    version: '0',
    supported_events: [1],
    features: FEATURES,
    limits: { max_body_size: 1_000_000, max_concurrency: 1000, preferred_chunk_size: 1000 },
  },
  success: true,
})

interface Asked {
  readonly id: string
  readonly uri: string
}

function reply({ id, uri }: Asked, decision: unknown): Buffer {
  const set = (name: string, value: string): unknown => ({ set: { name, value } })
  return frame(0x20, {
    version: 2,
    ...(decision !== undefined && { decision }),
    request_headers: [set('x-judge', String(process.pid)), set('x-echo', uri)],
    audit: { custom: { correlation_id: id } },
  })
}

/** What each mode does to one event. */
const onEvent: Readonly<Record<string, (socket: Socket, asked: Asked) => void>> = {
  answer: (socket, asked) => socket.write(reply(asked, 'allow')),
  /** Events of one connection go unanswered, those of the others do not. */
  'mute-first': (socket, asked) => {
    if (socket !== first) socket.write(reply(asked, 'allow'))
  },
  stuck: (socket, asked) => socket.write(reply(asked, 'allow')),
  /** Answers after the deadline, whatever it is told meanwhile. */
  late: (socket, asked) => setTimeout(() => socket.write(reply(asked, 'allow')), 400),
  'half-frame': (socket, asked) => {
    const whole = reply(asked, 'allow')
    socket.write(whole.subarray(0, whole.length >> 1), () => socket.destroy())
  },
  garbage: (socket) => socket.write(Buffer.from('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n')),
  oversize: (socket) => socket.write(Buffer.from('ffffffff20', 'hex')),
  /** A frame of a length that may be, but never comes. */
  endless: (socket) => socket.write(Buffer.from('00ffffff20', 'hex')),
  invented: (socket, asked) => socket.write(reply({ ...asked, id: 'nobody-000' }, 'allow')),
  twice: (socket, asked) =>
    socket.write(Buffer.concat([reply(asked, 'allow'), reply(asked, { block: { status: 403 } })])),
  undecodable: (socket, { id }) =>
    socket.write(
      frame(
        0x20,
        Buffer.from(`{"audit":{"custom":{"correlation_id":"${id}"}},"decision":"allow","version":`),
      ),
    ),
  nameless: (socket) => socket.write(frame(0x20, { version: 2, decision: 'allow' })),
  'status-42': (socket, asked) => socket.write(reply(asked, { block: { status: 42 } })),
  unset: (socket, asked) => socket.write(reply(asked, undefined)),
  unknown: (socket, asked) => socket.write(reply(asked, 'perhaps')),
}

function onFrame(socket: Socket, type: number, payload: Buffer): void {
  switch (type) {
    case 0x01:
      if (mode === 'silent') return
      socket.write(ACCEPTED)
      if (mode === 'stuck' && socket === first) socket.pause()
      return
    case 0x41: {
      const { sequence } = JSON.parse(payload.toString()) as { sequence: number }
      socket.write(frame(0x42, { sequence, timestamp_ms: Date.now() }))
      return
    }
    case 0x10: {
      seen++
      const event = JSON.parse(payload.toString()) as { metadata: { correlation_id: string }; uri: string }
      const asked = { id: event.metadata.correlation_id, uri: event.uri }
      /* In a mode of many faults the URI names the fault. */
      const fault = mode === 'faults' ? (/fault=([a-z0-9-]+)/.exec(event.uri)?.[1] ?? 'answer') : mode
      onEvent[fault]!(socket, asked)
      return
    }
    default:
  }
}

const server = createServer((socket) => {
  first ??= socket
  let held = Buffer.alloc(0)
  sockets.add(socket)
  socket.on('error', () => undefined)
  socket.once('close', () => sockets.delete(socket))
  socket.on('data', (chunk) => {
    held = Buffer.concat([held, chunk])
    while (held.length >= 5) {
      const end = 4 + held.readUInt32BE(0)
      if (end > held.length) return
      const one = held.subarray(0, end)
      held = held.subarray(end)
      onFrame(socket, one[4]!, one.subarray(5))
    }
  })
})

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const [word, argument = ''] = line.split(' ')
    if (word === 'seen') console.log(`seen ${seen}`)
    else if (word === 'mode') {
      mode = argument
      console.log(line)
    } else if (word === 'reset') for (const socket of sockets) socket.destroy()
    else if (word === 'read') for (const socket of sockets) socket.resume()
  })
  .on('close', () => process.exit(0))
server.listen(path, () => console.log('ready 0'))
