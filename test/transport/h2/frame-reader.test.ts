import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FrameReader, type FrameSink } from '../../../src/transport/h2/frame-reader.ts'
import { H2_ERROR, Violation } from '../../../src/transport/h2/violation.ts'
import { h2 } from '../support/raw-http2.ts'

/** Writes down what it is handed, with the data of a frame in one piece. */
class Notes implements FrameSink {
  readonly lines: string[] = []
  #data = ''

  onFrameBegin(type: number, flags: number, stream: number, length: number): void {
    this.lines.push(`begin ${type} ${flags} ${stream} ${length}`)
  }

  onData(data: Buffer): void {
    assert.ok(data.length > 0)
    this.#data += data.toString('hex')
  }

  onDataEnd(stream: number, flags: number): void {
    this.lines.push(`data ${stream} ${flags} ${this.#data}`)
    this.#data = ''
  }

  onFrame(type: number, flags: number, stream: number, payload: Buffer): void {
    this.lines.push(`frame ${type} ${flags} ${stream} ${payload.toString('hex')}`)
  }
}

const frames = fc.array(
  fc.record({
    type: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 12 })),
    flags: fc.constantFrom(0, 1, 4, 8, 9),
    stream: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
    payload: fc.uint8Array({ maxLength: 60 }),
    padding: fc.integer({ min: 0, max: 20 }),
  }),
  { maxLength: 8 },
)

test('frames are handed on the same however they are cut', () => {
  fc.assert(
    fc.property(frames, fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (list, cuts) => {
      const expected: string[] = []
      const bytes = Buffer.concat(
        list.map(({ type, flags, stream, payload, padding }) => {
          const isPadded = type === 0 && (flags & 8) !== 0
          const body = isPadded
            ? Buffer.concat([Buffer.of(padding), payload, Buffer.alloc(padding)])
            : Buffer.from(payload)
          expected.push(`begin ${type} ${flags} ${stream} ${body.length}`)
          const hex = Buffer.from(payload).toString('hex')
          if (type === 0) expected.push(`data ${stream} ${flags} ${hex}`)
          else if (type <= 9) expected.push(`frame ${type} ${flags} ${stream} ${hex}`)
          return h2(type, flags, stream, body)
        }),
      )
      const notes = new Notes()
      const reader = new FrameReader(notes, 16_384)
      for (let at = 0, turn = 0; at < bytes.length; turn++) {
        const size = cuts[turn % cuts.length]!
        reader.push(Buffer.from(bytes.subarray(at, at + size)))
        at += size
      }
      assert.deepEqual(notes.lines, expected)
      assert.equal(reader.bufferedBytes, 0)
    }),
    { numRuns: 500 },
  )
})

test('the reserved bit of a stream number is ignored', () => {
  const notes = new Notes()
  new FrameReader(notes, 16_384).push(Buffer.from('0000000001ffffffff', 'hex'))
  assert.deepEqual(notes.lines, ['begin 0 1 2147483647 0', 'data 2147483647 1 '])
})

for (const [title, bytes, code] of [
  ['a frame over the agreed size', h2(0, 0, 1, Buffer.alloc(101)), H2_ERROR.frameSize],
  ['a padded frame without room for its padding', h2(0, 8, 1), H2_ERROR.frameSize],
  ['more padding than the frame has bytes', h2(0, 8, 1, '02ff'), H2_ERROR.protocol],
] as const) {
  test(`${title} is refused`, () => {
    assert.throws(
      () => new FrameReader(new Notes(), 100).push(bytes),
      (error) => error instanceof Violation && error.http2Code === code,
    )
  })
}

test('a frame that its sink refuses is refused at its header, before a byte of it is kept', () => {
  const refusing = new Notes()
  refusing.onFrameBegin = () => {
    throw new Violation(H2_ERROR.protocol, 'no')
  }
  const reader = new FrameReader(refusing, 100)
  assert.throws(() => reader.push(h2(4, 0, 0, Buffer.alloc(90)).subarray(0, 9)), Violation)
  assert.equal(reader.bufferedBytes, 0)
})

test('nothing is handed on after the stop, not even of the same chunk', () => {
  const notes = new Notes()
  const reader = new FrameReader(notes, 100)
  notes.onData = () => reader.stop()
  reader.push(Buffer.concat([h2(0, 0, 1, 'aa'), h2(6, 0, 0, '0000000000000000')]))
  assert.deepEqual(notes.lines, ['begin 0 0 1 1'])
})
