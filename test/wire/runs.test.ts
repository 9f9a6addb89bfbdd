import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reply } from '../../src/core/reply.ts'
import { copyRun, hasRun, isAsciiRun, putRun, runOf } from '../../src/wire/runs.ts'
import { agentReply } from '../../src/wire/shape/replies.ts'
import { readReplyJson } from '../../src/wire/uds/json-read-replies.ts'
import * as keys from '../../src/wire/uds/msgpack-keys.ts'
import { written } from './support/codecs.ts'
import { fromAgent, JSON_PAIR } from './support/frames.ts'

const TEXT = 'abcdefghijklmnopqrstuvwxyz'
const viewOn = (bytes: Buffer): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length)

test('a run is put and found whole at any place, and not where one of its bytes differs or is missing', () => {
  for (let length = 1; length <= TEXT.length; length++) {
    const run = runOf(TEXT.slice(0, length))
    for (let at = 0; at < 9; at++) {
      const bytes = Buffer.alloc(64)
      const view = viewOn(bytes)
      assert.equal(putRun(view, at, run), at + length)
      assert.equal(bytes.toString('latin1', at, at + length), TEXT.slice(0, length))
      assert.equal(hasRun(view, at, at + length, run), true)
      assert.equal(hasRun(view, at, at + length - 1, run), false)
      for (let i = at; i < at + length; i++) {
        bytes[i]! ^= 1
        assert.equal(hasRun(view, at, at + length, run), false, `byte ${i - at} of ${length}`)
        bytes[i]! ^= 1
      }
    }
  }
})

test('text is copied whole, and a byte that is not ASCII is seen wherever it stands', () => {
  const from = Buffer.from(TEXT + TEXT)
  for (let length = 0; length <= TEXT.length; length++) {
    const to = Buffer.alloc(64)
    assert.equal(copyRun(viewOn(from), 3, length, viewOn(to), 5), 5 + length)
    assert.deepEqual(to.subarray(5, 5 + length), from.subarray(3, 3 + length))
    assert.equal(isAsciiRun(viewOn(from), 3, 3 + length), true)
    for (let i = 3; i < 3 + length; i++) {
      const odd = Buffer.from(from)
      odd[i] = 0x80
      assert.equal(isAsciiRun(viewOn(odd), 3, 3 + length), false)
    }
  }
})

test('no constant of MessagePack holds a NaN, which would lose bits and equal nothing', () => {
  for (const [name, run] of Object.entries(keys)) {
    if (typeof run !== 'object') continue
    assert.ok(!run.words.some(Number.isNaN), name)
    assert.deepEqual(Buffer.from(run.words.buffer, 0, run.length), Buffer.from(run.bytes), name)
  }
})

test('a JSON reply with an awkward character anywhere in a value is what JSON.parse makes of it, or malformed', () => {
  const plain = written((out) =>
    JSON_PAIR.agent().writeReply(
      reply('c1', { kind: 'allow' }, { requestHeaders: [{ op: 'set', name: 'x', value: 'VALUE' }] }),
      out,
    ),
  ).toString('utf8', 5)
  for (let before = 0; before < 9; before++) {
    for (const [awkward, isByHand] of [
      ['\\"', false],
      ['\\u00e9', false],
      ['é', true],
      ['😀', true],
      ['\u007f', true],
    ] as const) {
      const text = plain.replace('VALUE', 'x'.repeat(before) + awkward + 'y'.repeat(before))
      const bytes = Buffer.from(text)
      const byHand = readReplyJson(bytes, 0, bytes.length)
      assert.equal(byHand !== null, isByHand, text)
      const expected = agentReply(JSON.parse(text)).requestHeaders
      assert.deepEqual((fromAgent(0x20, text)[1] as { requestHeaders: unknown }).requestHeaders, expected)
    }
    for (const broken of ['"', '\\', '\n', '\u0000']) {
      const text = plain.replace('VALUE', 'x'.repeat(before) + broken + 'y'.repeat(before))
      assert.equal(fromAgent(0x20, text)[0], 'malformed-reply', JSON.stringify(broken))
    }
  }
})
