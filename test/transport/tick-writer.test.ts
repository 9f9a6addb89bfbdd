import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ByteChannel } from '../../src/transport/channel/byte-channel.ts'
import { HIGH_WATER_BYTES, TickWriter } from '../../src/transport/channel/tick-writer.ts'

/** A channel that takes bytes only when told to, and notices when they change before. */
class SlowChannel implements ByteChannel {
  readonly peer = 'slow'
  readonly writes: { bytes: Buffer; copy: string; onTaken: (error?: Error) => void }[] = []

  start(): void {}
  pause(): void {}
  resume(): void {}
  end(): void {}
  destroy(): void {}

  write(bytes: Buffer, onTaken: (error?: Error | null) => void): void {
    this.writes.push({ bytes, copy: bytes.toString('latin1'), onTaken })
  }

  take(): string {
    const { bytes, copy, onTaken } = this.writes.shift()!
    assert.equal(bytes.toString('latin1'), copy, 'bytes changed before they were taken')
    onTaken()
    return copy
  }
}

function append(writer: TickWriter, text: string): void {
  const out = writer.open()
  out.reserve(text.length)
  out.end += out.bytes.write(text, out.end, 'latin1')
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('what is appended in one tick leaves in one write, and nothing in an idle tick', async () => {
  const channel = new SlowChannel()
  const writer = new TickWriter(channel, { onDrained() {} })
  append(writer, 'one ')
  append(writer, 'two')
  assert.equal(channel.writes.length, 0)
  await turn()
  assert.equal(channel.writes.length, 1)
  assert.equal(channel.take(), 'one two')
  await turn()
  assert.equal(channel.writes.length, 0)
})

test('patient frames of several ticks of one turn leave in one write, and an impatient one does not delay', async () => {
  const [patient, impatient] = [new SlowChannel(), new SlowChannel()]
  const writer = new TickWriter(patient, { onDrained() {} })
  const other = new TickWriter(impatient, { onDrained() {} })
  writer.open(true)
  append(writer, 'one ')
  append(other, 'now')
  await Promise.resolve()
  await Promise.resolve()
  assert.equal(impatient.take(), 'now')
  assert.equal(patient.writes.length, 0)
  append(writer, 'two')
  await turn()
  assert.equal(patient.take(), 'one two')
  assert.equal(patient.writes.length, 0)
})

test('bytes that were not taken are never overwritten, however many ticks pass', async () => {
  const channel = new SlowChannel()
  const writer = new TickWriter(channel, { onDrained() {} })
  const expected: string[] = []
  for (let round = 0; round < 200; round++) {
    const text = String(round).repeat(1 + (round % 50))
    append(writer, text)
    expected.push(text)
    await turn()
    if (round % 3 === 0) assert.equal(channel.take(), expected.shift())
  }
  for (const text of expected) assert.equal(channel.take(), text)
})

test('a slow peer is told once, and its recovery once', async () => {
  const channel = new SlowChannel()
  let drained = 0
  const writer = new TickWriter(channel, { onDrained: () => drained++ })
  append(writer, 'x'.repeat(HIGH_WATER_BYTES))
  assert.equal(writer.isWritable, false)
  await turn()
  append(writer, 'more')
  await turn()
  assert.equal(writer.isWritable, false)
  channel.take()
  channel.take()
  assert.equal(writer.isWritable, true)
  assert.equal(drained, 1)
})

test('a tick whose frames were all refused writes nothing', async () => {
  const channel = new SlowChannel()
  const writer = new TickWriter(channel, { onDrained() {} })
  writer.open()
  await turn()
  assert.equal(channel.writes.length, 0)
})

test('after the end nothing is written, and nobody is told of recovery', async () => {
  const channel = new SlowChannel()
  let drained = 0
  const writer = new TickWriter(channel, { onDrained: () => drained++ })
  append(writer, 'y'.repeat(HIGH_WATER_BYTES))
  writer.flush()
  writer.end()
  append(writer, 'late')
  await turn()
  assert.equal(channel.writes.length, 1)
  channel.take()
  assert.equal(drained, 0)
})

test('a buffer whose write failed is not used again', async () => {
  const channel = new SlowChannel()
  const writer = new TickWriter(channel, { onDrained() {} })
  append(writer, 'doomed')
  await turn()
  const [failed] = channel.writes.splice(0)
  failed!.onTaken(new Error('reset'))
  for (let round = 0; round < 100; round++) {
    append(writer, 'next')
    await turn()
    assert.notEqual(channel.writes[0]!.bytes.buffer, failed!.bytes.buffer)
    channel.take()
  }
})
