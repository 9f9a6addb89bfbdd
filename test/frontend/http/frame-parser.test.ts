import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { applyMask, closeFrame, type Frame } from '../../../src/frontend/http/websocket/frame.ts'
import { type FrameError, FrameParser } from '../../../src/frontend/http/websocket/frame-parser.ts'

const LIMIT = 70_000

interface Wire {
  readonly first: number
  readonly payload: Uint8Array
}

function encode(
  { first, payload }: Wire,
  mask: Buffer | undefined,
  lengthBytes = shortest(payload.length),
): Buffer {
  const marker = lengthBytes === 0 ? payload.length : lengthBytes === 2 ? 126 : 127
  const length = Buffer.alloc(lengthBytes)
  if (lengthBytes === 2) length.writeUInt16BE(payload.length)
  if (lengthBytes === 8) length.writeBigUInt64BE(BigInt(payload.length))
  const body = Buffer.from(payload)
  if (mask !== undefined) applyMask(body, mask)
  return Buffer.concat([
    Buffer.from([first, marker | (mask === undefined ? 0 : 0x80)]),
    length,
    mask ?? Buffer.alloc(0),
    body,
  ])
}

function shortest(length: number): 0 | 2 | 8 {
  return length < 126 ? 0 : length < 65_536 ? 2 : 8
}

function parse(bytes: Buffer, cuts: readonly number[], fromClient: boolean): (Frame | FrameError)[] {
  const parser = new FrameParser(fromClient, LIMIT)
  const results: (Frame | FrameError)[] = []
  let at = 0
  for (const cut of [...cuts.toSorted((a, b) => a - b), bytes.length]) {
    parser.push(bytes.subarray(at, Math.max(at, cut)))
    at = Math.max(at, cut)
    for (;;) {
      const result = parser.next()
      if (result === undefined) break
      results.push(result)
      if ('code' in result) return results
    }
  }
  return results
}

test('any sound sequence of frames, cut anywhere, comes out as it went in', () => {
  const lengths = fc.oneof(fc.integer({ min: 0, max: 130 }), fc.constantFrom(125, 126, 65_535, 65_536, LIMIT))
  const frame = fc.record({
    opcode: fc.constantFrom(1, 2, 9, 10),
    length: lengths,
    seed: fc.integer({ min: 0, max: 255 }),
  })
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 5 }),
      fc.array(fc.nat(140_000), { maxLength: 8 }),
      fc.boolean(),
      (frames, cuts, fromClient) => {
        const wires = frames.map(({ opcode, length, seed }) => ({
          first: 0x80 | opcode,
          payload: Buffer.alloc(opcode > 8 ? Math.min(length, 125) : length, seed),
        }))
        const mask = fromClient ? Buffer.from([1, 2, 3, 4]) : undefined
        const bytes = Buffer.concat(wires.map((wire) => encode(wire, mask)))
        const parsed = parse(
          bytes,
          cuts.map((cut) => Math.min(cut, bytes.length)),
          fromClient,
        ) as Frame[]
        assert.equal(parsed.length, wires.length)
        parsed.forEach((got, at) => {
          assert.ok(Buffer.from(got.payload).equals(Buffer.from(wires[at]!.payload)))
        })
        assert.ok(Buffer.concat(parsed.flatMap((got) => got.bytes)).equals(bytes), 'passed on untouched')
      },
    ),
    { numRuns: 60 },
  )
})

const MASK = Buffer.from([9, 8, 7, 6])
const text = Buffer.from('hi')
const WRONG: Readonly<Record<string, readonly [Buffer, boolean, number]>> = {
  'a reserved bit': [encode({ first: 0xc1, payload: text }, MASK), true, 1002],
  'a reserved opcode': [encode({ first: 0x83, payload: text }, MASK), true, 1002],
  'a client that does not mask': [encode({ first: 0x81, payload: text }, undefined), true, 1002],
  'a server that masks': [encode({ first: 0x81, payload: text }, MASK), false, 1002],
  'a ping in pieces': [encode({ first: 0x09, payload: text }, MASK), true, 1002],
  'a long ping': [encode({ first: 0x89, payload: Buffer.alloc(126) }, MASK), true, 1002],
  'a continuation of nothing': [encode({ first: 0x80, payload: text }, MASK), true, 1002],
  'a message inside a message': [
    Buffer.concat([
      encode({ first: 0x01, payload: text }, MASK),
      encode({ first: 0x81, payload: text }, MASK),
    ]),
    true,
    1002,
  ],
  'a length longer than needed': [encode({ first: 0x81, payload: text }, MASK, 2), true, 1002],
  'a 64-bit length longer than needed': [
    encode({ first: 0x82, payload: Buffer.alloc(300) }, MASK, 8),
    true,
    1002,
  ],
  'half a close code': [encode({ first: 0x88, payload: Buffer.alloc(1) }, MASK), true, 1002],
  'a frame over the limit': [encode({ first: 0x82, payload: Buffer.alloc(LIMIT + 1) }, MASK), true, 1009],
  'a length with the top bit set': [Buffer.from('82ffffffffffffffffff01020304', 'hex'), true, 1009],
}
for (const [name, [bytes, fromClient, code]] of Object.entries(WRONG)) {
  test(`${name} ends the connection with ${code}`, () => {
    const last = parse(bytes, [], fromClient).at(-1)!
    assert.ok('code' in last)
    assert.equal(last.code, code)
  })
}

test('pings may come between the pieces of a message', () => {
  const bytes = Buffer.concat([0x01, 0x89, 0x00, 0x80].map((first) => encode({ first, payload: text }, MASK)))
  const opcodes = parse(bytes, [], true).map((frame) => ('opcode' in frame ? frame.opcode : 'error'))
  assert.deepEqual(opcodes, ['text', 'ping', 'continuation', 'continuation'])
})

test('a close reason is cut between characters to what a control frame holds', () => {
  const frame = closeFrame(1006, 'ä'.repeat(100), false)
  assert.equal(frame.readUInt16BE(2), 1008)
  assert.ok(frame.length <= 127)
  assert.doesNotThrow(() => new TextDecoder('utf-8', { fatal: true }).decode(frame.subarray(4)))
})
