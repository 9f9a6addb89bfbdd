import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import fc from 'fast-check'
import { DataQueue } from '../../../src/transport/h2/data-queue.ts'
import { SendWindow } from '../../../src/transport/h2/send-window.ts'
import { PeerSettings } from '../../../src/transport/h2/settings.ts'
import { Violation } from '../../../src/transport/h2/violation.ts'
import { framesIn, h2 } from '../support/raw-http2.ts'

/** An outlet whose socket is the test. */
function outlet(initialWindowBytes: number, maxFrameBytes: number) {
  const chunks: Buffer[] = []
  const socket = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(Buffer.from(chunk))
      done()
    },
  })
  const peerSettings = new PeerSettings(true)
  peerSettings.initialWindowBytes = initialWindowBytes
  peerSettings.maxFrameBytes = maxFrameBytes
  const sendWindow = new SendWindow()
  return {
    socket: socket as unknown as Socket,
    sendWindow,
    peerSettings,
    frames: () => framesIn(Buffer.concat(chunks)),
  }
}

const writes = fc.array(fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 4 }), {
  maxLength: 12,
})

test('data leaves whole and in order, in frames that the windows and the frame size allow', async () => {
  const grants = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 200 })), { maxLength: 20 })
  await fc.assert(
    fc.asyncProperty(
      writes,
      grants,
      fc.integer({ min: 0, max: 300 }),
      fc.integer({ min: 1, max: 70 }),
      async (list, given, first, size) => {
        const out = outlet(first, size)
        const queue = new DataQueue(out, 7)
        const credit = { connection: 65_535, stream: first }
        const sent: Buffer[] = []
        const taken: number[] = []
        let byte = 0
        const grant = (isStream: boolean, count: number): void => {
          if (isStream) queue.window.give(count)
          else out.sendWindow.give(count)
          credit[isStream ? 'stream' : 'connection'] += count
          queue.pump()
        }
        const check = (): void => {
          const total = out.frames().reduce((sum, { payload }) => sum + payload.length, 0)
          assert.ok(total <= Math.min(credit.stream, credit.connection))
        }
        list.forEach((lengths, index) => {
          const parts = lengths.map((length) => Buffer.alloc(length, byte++ % 251))
          sent.push(...parts.map((part) => Buffer.from(part)))
          const first = Buffer.concat([Buffer.alloc(9, 0xee), parts[0]!])
          const onTaken = (): void => void taken.push(index)
          if (parts.length === 1) queue.write(first, onTaken)
          else queue.writeParts([first, ...parts.slice(1)], onTaken)
          check()
          const turn = given[index]
          if (turn !== undefined) grant(...turn)
          check()
        })
        queue.end(() => h2(0, 1, 7))
        grant(true, 100_000)
        await new Promise((resolve) => setImmediate(resolve))
        const frames = out.frames()
        const last = frames.pop()!
        assert.deepEqual([last.flags, last.payload.length, queue.isEnded], [1, 0, true])
        for (const { type, flags, stream, payload } of frames) {
          assert.deepEqual([type, flags, stream], [0, 0, 7])
          assert.ok(payload.length > 0 && payload.length <= size)
        }
        assert.deepEqual(Buffer.concat(frames.map(({ payload }) => payload)), Buffer.concat(sent))
        assert.deepEqual(taken, [...taken.keys()])
        assert.equal(taken.length, list.length)
      },
    ),
    { numRuns: 300 },
  )
})

test('a window that the peer took back lets nothing leave until it is above nothing again', () => {
  const out = outlet(100, 1000)
  const queue = new DataQueue(out, 1)
  const write = (count: number): void => queue.write(Buffer.alloc(9 + count), () => {})
  write(80)
  queue.window.give(-100)
  write(10)
  assert.equal(out.frames().length, 1)
  queue.window.give(80)
  queue.pump()
  assert.equal(out.frames().length, 1)
  queue.window.give(1)
  queue.pump()
  assert.deepEqual(
    out.frames().map(({ payload }) => payload.length),
    [80, 1],
  )
})

test('what waits when the connection is lost is answered with an error, once and in order', () => {
  const out = outlet(0, 1000)
  const queue = new DataQueue(out, 1)
  const answers: string[] = []
  for (const name of ['a', 'b'])
    queue.write(Buffer.alloc(20), (error) => answers.push(`${name} ${error?.message}`))
  queue.drop(new Error('gone'))
  queue.drop(new Error('again'))
  queue.write(Buffer.alloc(20), (error) => answers.push(`c ${error instanceof Error}`))
  queue.window.give(100)
  queue.pump()
  assert.deepEqual(answers, ['a gone', 'b gone', 'c true'])
  assert.equal(out.frames().length, 0)
})

test('a window cannot grow past what a window may be', () => {
  const window = new SendWindow()
  window.give(2 ** 31 - 1 - 65_535)
  assert.throws(() => window.give(1), Violation)
})
