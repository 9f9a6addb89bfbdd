import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { holdWriteLock } from '../store/support.ts'
import { eventually } from '../support/eventually.ts'
import { Place } from './harness.ts'

const AGENTS = '{ a: { endpoint: "unix:./a.sock", limit: { ratePerSecond: 100 } } }'

test('a locked database makes the daemon not ready and says why, while requests pass by storage.onFailure', async (t) => {
  const place = await Place.make(t)
  await place.agent('a')
  await place.configure(AGENTS, 'a', 'storage: { path: ./weir.db, onFailure: memory-only }')
  const daemon = await place.serve('--wait-for-agents', '5000')
  await daemon.untilReady()
  const release = await holdWriteLock(t, join(place.folder, 'weir.db'))
  await eventually('the daemon is not ready', async () => (await daemon.admin('/readyz')).status === 503)
  assert.match(
    (await daemon.admin('/readyz')).text,
    /\[-\] storage: \S*weir\.db.*(no answer within|locked by another process).*storage\.onFailure: memory-only/,
  )
  assert.equal((await daemon.get('/')).status, 200)
  assert.match((await daemon.admin('/metrics')).text, /^weir_limit_store_failing 1$/m)
  await release()
  await daemon.untilReady()
})

test('with onFailure: deny, a limit that cannot be checked is told from one that is exceeded', async (t) => {
  const place = await Place.make(t)
  await place.agent('a')
  const limits =
    '{ a: { endpoint: "unix:./a.sock", limit: { ratePerSecond: 0.001, burst: 1, key: header:x-key } } }'
  await place.configure(limits, 'a', 'storage: { path: ./weir.db, onFailure: deny }')
  const daemon = await place.serve('--wait-for-agents', '5000')
  await daemon.untilReady()
  assert.equal((await daemon.get('/', { 'x-key': 'one' })).status, 200)
  const exceeded = await daemon.get('/', { 'x-key': 'one' })
  assert.deepEqual([exceeded.status, JSON.parse(exceeded.text).error], [429, 'RATE_LIMITED'])
  assert.match(String(exceeded.headers['ratelimit']), /r=0/)

  const release = await holdWriteLock(t, join(place.folder, 'weir.db'))
  const unknown = await daemon.get('/', { 'x-key': 'another' })
  assert.deepEqual([unknown.status, JSON.parse(unknown.text).error], [503, 'STORAGE'])
  assert.equal(unknown.headers['retry-after'], '1')
  assert.equal(unknown.headers['ratelimit'], undefined)
  await daemon.process.said(/the limit limit of agent a cannot be checked: the limit store is out of reach/)
  await release()
})

test('a deleted database is noticed, reported, made anew, and the bans in force are in it', async (t) => {
  const place = await Place.make(t)
  await place.agent('a')
  await place.configure(AGENTS, 'a', 'storage: { path: ./weir.db }')
  const daemon = await place.serve('--wait-for-agents', '5000')
  await daemon.untilReady()
  const ban = { agent: 'a', reason: 'loops' }
  assert.ok((await daemon.admin('/v1/bans', 'POST', ban)).status < 300)
  for (const end of ['', '-wal', '-shm']) rmSync(join(place.folder, `weir.db${end}`))
  await daemon.process.said(
    /storage is out of reach: \S*weir\.db: the file was deleted or moved while in use/,
  )
  await daemon.process.said(/weir\.db is open again, another file than before/)
  await daemon.untilReady()
  const metrics = (await daemon.admin('/metrics')).text
  for (const line of ['weir_store_open 1', 'weir_store_losses_total 1', 'weir_store_replacements_total 1'])
    assert.ok(metrics.split('\n').includes(line), `${line}\nis not in\n${metrics}`)
  await eventually('the ban is in the new file', async () =>
    (await daemon.admin('/v1/bans/history')).text.includes('loops'),
  )
})

test('the number of buckets in memory and what happens without the file change without a restart', async (t) => {
  const place = await Place.make(t)
  await place.agent('a')
  await place.configure(AGENTS, 'a', 'storage: { path: ./weir.db, maxBuckets: 500 }')
  const daemon = await place.serve('--wait-for-agents', '5000')
  assert.match((await daemon.admin('/metrics')).text, /^weir_limit_buckets_max 500$/m)
  await place.configure(AGENTS, 'a', 'storage: { path: ./weir.db, maxBuckets: 20, onFailure: deny }')
  await daemon.process.said(/configuration reloaded/)
  assert.match((await daemon.admin('/metrics')).text, /^weir_limit_buckets_max 20$/m)
  assert.doesNotMatch(daemon.process.output(), /take effect at the next start only/)
  const release = await holdWriteLock(t, join(place.folder, 'weir.db'))
  await eventually('the policy of now is shown', async () =>
    (await daemon.admin('/readyz')).text.includes('storage.onFailure: deny'),
  )
  await release()
  await place.configure(AGENTS, 'a', 'storage: { path: ./other.db, maxBuckets: 20, onFailure: deny }')
  await daemon.process.said(/changes of storage\.path take effect at the next start only/)
})
