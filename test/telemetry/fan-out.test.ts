import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fanOut } from '../../src/telemetry/fan-out.ts'

function unexpected(error: unknown): never {
  throw error
}

test('a member exists only when some probe has it', () => {
  const probe = fanOut([{ strayReply: () => {} }, {}], unexpected)
  assert.deepEqual(Object.keys(probe), ['strayReply'])
})

test('every probe is told, with all arguments, even when one throws', () => {
  const told: unknown[] = []
  const errors: unknown[] = []
  const probe = fanOut(
    [
      {
        dialFailed: () => {
          throw new Error('broken probe')
        },
      },
      { dialFailed: (...all) => void told.push(all) },
    ],
    (error) => errors.push(error),
  )
  probe.dialFailed?.('waf', 'unix:/x', 'refused', 100)
  assert.deepEqual(told, [['waf', 'unix:/x', 'refused', 100]])
  assert.equal(errors.length, 1)
})
