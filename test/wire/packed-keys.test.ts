import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import * as arbitrary from './support/arbitraries.ts'
import { written } from './support/codecs.ts'
import { MSGPACK_PAIR } from './support/frames.ts'
import { packedKeys } from './support/packed-keys.ts'

/** Length and type of a frame. */
const HEAD_BYTES = 5

function assertDistinct(frame: Buffer): void {
  const maps = packedKeys(frame.subarray(HEAD_BYTES))
  assert.ok(maps.length > 0, 'members are named, not positional')
  for (const keys of maps) assert.deepEqual(keys, [...new Set(keys)])
}

test('no MessagePack map that is written has a key twice, and all of them name their members', () => {
  fc.assert(
    fc.property(arbitrary.agentEvent(), arbitrary.agentReply(), (event, reply) => {
      assertDistinct(written((out) => MSGPACK_PAIR.proxy().writeEvent(event, out)))
      assertDistinct(written((out) => MSGPACK_PAIR.agent().writeReply(reply, out)))
    }),
    { numRuns: 300 },
  )
  const repeated = Buffer.from('000000000082a16101a16102', 'hex')
  assert.throws(() => assertDistinct(repeated), 'a repeated key is seen')
})
