import { type ClientHttp2Session, connect } from 'node:http2'
import { ByteWriter } from '../../src/wire/byte-writer.ts'
import type { ProxyCodec } from '../../src/wire/codec.ts'
import { grpcProxyCodec } from '../../src/wire/grpc/proxy-codec.ts'
import { bodyChunk, requestHeaders } from '../support/sample-events.ts'
import type { Noise } from './noise.ts'
import { lanes, talk } from './talk.ts'

const SERVICE = '/zentinel.agent.v2.AgentServiceV2'
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
const SETTINGS = Buffer.from('000000040000000000', 'hex')
const HANG_MS = 10_000

function written(write: (codec: ProxyCodec, out: ByteWriter) => void): Buffer {
  const out = new ByteWriter()
  write(grpcProxyCodec(), out)
  return Buffer.from(out.bytes.subarray(0, out.end))
}

const HELLO = written((codec, out) =>
  codec.writeHandshake(
    { supportedVersions: [2], proxyId: 'p', proxyVersion: '1', config: undefined, supportedEncodings: [] },
    out,
  ),
)
const WRONG_VERSION = written((codec, out) =>
  codec.writeHandshake(
    { supportedVersions: [1], proxyId: 'p', proxyVersion: '1', config: undefined, supportedEncodings: [] },
    out,
  ),
)
const EVENTS = [requestHeaders('twice'), bodyChunk('twice', 'some body')].map((event) =>
  written((codec, out) => codec.writeEvent(event, out)),
)

/** A message with a sound prefix. */
function message(payload: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(payload.length, 1)
  return Buffer.concat([head, payload])
}

/** What a call may start with, besides sense. */
function nonsense(noise: Noise, n: number): Buffer {
  const event = noise.pick(EVENTS)
  switch (n % 7) {
    case 0:
      return noise.bytes(200)
    case 1:
      return message(noise.bytes(200))
    case 2:
      return event
    case 3:
      return WRONG_VERSION
    case 4:
      return Buffer.concat([HELLO, event, event, message(noise.damaged(event.subarray(5)))])
    case 5:
      return Buffer.concat([HELLO, message(noise.bytes(200))])
    default:
      return Buffer.from([noise.below(2), 0xff, 0xff, 0xff, 0xff, 1])
  }
}

/** Calls that start with nonsense, side by side on one HTTP/2 connection. Returns how many were made. */
export async function babbleOnCalls(port: number, noise: Noise, times: number): Promise<number> {
  const session = connect(`http://127.0.0.1:${port}`)
  session.on('error', () => undefined)
  try {
    await lanes(times, 16, (n) => call(session, noise.pick(METHODS), nonsense(noise, n)))
  } finally {
    session.destroy()
  }
  return times
}

const METHODS = ['ProcessStream', 'ProcessStream', 'ControlStream', 'ProcessEvent', 'Nothing']

/** Ends when the other side ends it, as it must once we did. */
function call(session: ClientHttp2Session, method: string, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': `${SERVICE}/${method}`,
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    const timer = setTimeout(() => {
      stream.destroy()
      reject(new Error(`${method} is open after ${HANG_MS} ms, having got ${bytes.toString('hex')}`))
    }, HANG_MS)
    stream.on('error', () => undefined)
    stream.once('close', () => {
      clearTimeout(timer)
      resolve()
    })
    stream.resume()
    stream.end(bytes)
  })
}

/**
 * Connections that speak no HTTP/2, or a broken one, all at once: some are held until their greeting is overdue. Returns
 * how many were made.
 */
export async function breakHttp2(port: number, noise: Noise, times: number): Promise<number> {
  const starts = [Buffer.alloc(0), PREFACE, Buffer.concat([PREFACE, SETTINGS])]
  const one = (n: number): Promise<string> =>
    talk(port, Buffer.concat([starts[n % 3]!, noise.bytes(300)]), 20_000)
  await Promise.all(Array.from({ length: times }, (_, n) => one(n)))
  return times
}
