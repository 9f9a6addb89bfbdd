import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Bench, chunkEvent, headersEvent } from './harness.ts'

test('a body chunk is leased and released with its bytes, other events with none', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a')])
  const pool = bench.pool('a')
  const headers = bench.dispatcher.dispatch(headersEvent(scope), scope)
  assert.equal(pool.bodyBytes, 0)
  pool.reply()
  await headers
  const chunks = [0, 1].map((n) => bench.dispatcher.dispatch(chunkEvent(scope, n), scope))
  assert.equal(pool.bodyBytes, 2 * Buffer.byteLength('body'))
  pool.reply()
  pool.reply()
  await Promise.all(chunks)
  assert.equal(pool.bodyBytes, 0)
})
