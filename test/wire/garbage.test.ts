import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { WeirError } from '../../src/core/errors.ts'
import * as arbitrary from './support/arbitraries.ts'
import { agentHears, PAIRS, type Pair, proxyHears, written } from './support/codecs.ts'
import { mulberry } from './support/mulberry.ts'

const UDS_TYPES = [
  0x01, 0x02, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x20, 0x30, 0x31, 0x32, 0x33, 0x40, 0x41, 0x42,
]
/** Random frames per encoding and direction. */
const FRAMES = 20_000

/** Reads and says how; anything but a WeirError is a failure. */
function survives(read: () => unknown): void {
  try {
    read()
  } catch (thrown) {
    if (!(thrown instanceof WeirError)) throw thrown
    assert.ok(['PROTOCOL_ERROR', 'TOO_LARGE'].includes(thrown.code), thrown.stack)
  }
}

function frameAround(pair: Pair, type: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(5)
  if (pair.name === 'grpc') head.writeUInt32BE(payload.length, 1)
  else {
    head.writeUInt32BE(payload.length + 1)
    head[4] = type
  }
  return Buffer.concat([head, payload])
}

for (const pair of PAIRS) {
  test(`over ${pair.name}, ${2 * FRAMES} random payloads lead to nothing but WeirErrors`, () => {
    const random = mulberry(20_261_121)
    const noise = Buffer.from(Array.from({ length: 65_536 }, () => random() * 256))
    for (let n = 0; n < FRAMES; n++) {
      const from = Math.floor(random() * 65_000)
      const payload = Buffer.from(noise.subarray(from, from + Math.floor(random() * 120)))
      /* Half of them start as the encoding's own messages do. */
      if (payload.length > 2 && n % 2 === 0) {
        if (pair.name === 'json') payload.write('{"')
        else if (pair.name === 'msgpack') payload[0] = 0x80 | (payload[0]! & 0x1f)
        else {
          payload[0] = (1 + Math.floor(random() * 11)) * 8 + 2
          payload[1] = payload.length - 2
        }
      }
      const bytes = frameAround(pair, UDS_TYPES[n % UDS_TYPES.length]!, payload)
      survives(() => agentHears(pair.agent(), bytes))
      survives(() => proxyHears(pair.proxy(), bytes))
    }
  })

  test(`over ${pair.name}, a random byte stream leads to nothing but WeirErrors`, () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.array(fc.nat(200), { maxLength: 5 }),
        (noise, cuts) => {
          survives(() => agentHears(pair.agent(), Buffer.from(noise), cuts))
          survives(() => proxyHears(pair.proxy(), Buffer.from(noise), cuts))
        },
      ),
      { numRuns: 500 },
    )
  })

  test(`over ${pair.name}, a valid message with bytes changed, cut or added leads to nothing but WeirErrors`, () => {
    const change = fc.tuple(fc.nat(2000), fc.nat(255))
    fc.assert(
      fc.property(
        arbitrary.agentEvent(),
        arbitrary.agentReply(),
        fc.array(change, { minLength: 1, maxLength: 4 }),
        fc.nat(20),
        (event, reply, changes, cut) => {
          const headBytes = 5
          const mutated = (bytes: Buffer): Buffer => {
            for (const [at, value] of changes) bytes[headBytes + (at % (bytes.length - headBytes))] = value
            const kept = bytes.subarray(headBytes, Math.max(headBytes, bytes.length - cut))
            return frameAround(pair, bytes[4]!, kept)
          }
          const asked = mutated(written((out) => pair.proxy().writeEvent(event, out)))
          const answered = mutated(written((out) => pair.agent().writeReply(reply, out)))
          survives(() => agentHears(pair.agent(), asked))
          survives(() => proxyHears(pair.proxy(), answered))
        },
      ),
      { numRuns: 800 },
    )
  })
}

test('values that nest without end are refused, not followed', () => {
  const deep = {
    json: Buffer.from(`{"config":${'['.repeat(200_000)}`),
    'closed json': Buffer.from(`{"config":${'['.repeat(200_000)}${']'.repeat(200_000)}}`),
    msgpack: Buffer.alloc(200_000, 0x91),
    grpc: Buffer.alloc(200_000, 0x53),
  }
  for (const [name, payload] of Object.entries(deep)) {
    const pair = PAIRS.find((candidate) => name.endsWith(candidate.name))!
    survives(() => agentHears(pair.agent(), frameAround(pair, 0x17, payload)))
  }
})

test('MessagePack that announces more entries than it has bytes allocates nothing for them', () => {
  const pair = PAIRS[1]!
  for (const payload of ['dd04000000', 'df04000000', 'dc ffff 90', 'c6 7fffffff', '81 a1 61 dd 03ffffff']) {
    const bytes = frameAround(pair, 0x10, Buffer.from(payload.replaceAll(' ', ''), 'hex'))
    const [told] = agentHears(pair.agent(), bytes)
    assert.equal(told![0], 'malformed-event')
  }
})

test('MessagePack extension types are refused: the protocol has none, and decoders give them powers', () => {
  const pair = PAIRS[1]!
  for (const payload of ['d4 72 40 91 a1 61', 'c7 01 65 00', 'd6 ff 00000000']) {
    const bytes = frameAround(pair, 0x17, Buffer.from(payload.replaceAll(' ', ''), 'hex'))
    assert.equal(agentHears(pair.agent(), bytes)[0]![0], 'malformed-event')
  }
})
