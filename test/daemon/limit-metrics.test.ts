import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { type Daemon, Place } from './harness.ts'

/** The samples of a scrape by name and labels. Fails on a line that is no Prometheus text. */
async function scrape(daemon: Daemon): Promise<ReadonlyMap<string, number>> {
  const samples = new Map<string, number>()
  const typed = new Set<string>()
  for (const line of (await daemon.admin('/metrics')).text.split('\n')) {
    const [, name] = /^# TYPE (\S+) (?:counter|gauge|histogram|summary)$/.exec(line) ?? []
    if (name !== undefined) {
      assert.ok(!typed.has(name), `${name} has one type`)
      typed.add(name)
    } else if (line !== '' && !/^# HELP \S+ ./.test(line)) {
      const [, series, value] = /^([a-zA-Z_:][\w:]*(?:\{[^}]*\})?) (\S+)$/.exec(line) ?? []
      assert.ok(series !== undefined && value !== undefined, `no sample: ${line}`)
      assert.ok(!samples.has(series), `${series} comes once`)
      samples.set(series, Number(value))
      const family = series.replace(/\{.*/, '').replace(/_(bucket|sum|count)$/, '')
      assert.ok(typed.has(family) || typed.has(series.replace(/\{.*/, '')), `${series} has a type`)
    }
  }
  return samples
}

test('every figure of the limiter is there, and true', async (t) => {
  const place = await Place.make(t)
  await place.agent('waf')
  await place.configure(
    `{ waf: { endpoint: "unix:./waf.sock", limits: [
       { name: tenant, ratePerSecond: 0, burst: 2, key: "header:x-tenant" } ] } }`,
    'waf',
    'storage: { maxBuckets: 3 }',
  )
  const daemon = await place.serve('--wait-for-agents', '5000')
  const fresh = await scrape(daemon)
  for (const name of [
    'weir_limit_cache_hits_total',
    'weir_limit_cache_misses_total',
    'weir_limit_cache_evictions_total',
    'weir_limit_denials_total{reason="rate-limited"}',
    'weir_limit_denials_total{reason="banned"}',
    'weir_limit_denials_total{reason="shadow"}',
    'weir_limit_denials_total{reason="store"}',
    'weir_limit_agent_denials_total{agent="waf",limit="tenant",mode="enforced"}',
    'weir_limit_agent_denials_total{agent="waf",limit="tenant",mode="shadow"}',
    'weir_limit_buckets',
    'weir_bans',
    'weir_limit_store_failing',
    'weir_limit_store_failures_total',
  ])
    assert.equal(fresh.get(name), 0, name)

  for (const tenant of ['a', 'b', 'c', 'd']) await daemon.get('/', { 'x-tenant': tenant })
  for (let event = 0; event < 3; event++) await daemon.get('/', { 'x-tenant': 'd' })
  await daemon.admin('/v1/bans', 'POST', { agent: 'waf' })
  await daemon.get('/')
  await eventually(
    'the table was counted',
    async () => (await scrape(daemon)).get('weir_limit_store_rows') === 4,
  )
  const now = await scrape(daemon)
  assert.equal(now.get('weir_limit_cache_misses_total'), 4)
  assert.equal(now.get('weir_limit_cache_hits_total'), 3)
  assert.equal(now.get('weir_limit_cache_evictions_total'), 1)
  assert.equal(now.get('weir_limit_buckets'), 3)
  assert.equal(now.get('weir_limit_buckets_max'), 3)
  assert.equal(now.get('weir_limit_denials_total{reason="rate-limited"}'), 2)
  assert.equal(now.get('weir_limit_denials_total{reason="banned"}'), 1)
  assert.equal(now.get('weir_limit_agent_denials_total{agent="waf",limit="tenant",mode="enforced"}'), 2)
  assert.equal(now.get('weir_bans'), 1)
  const age = now.get('weir_limit_checkpoint_age_seconds') ?? Number.NaN
  assert.ok(age >= 0 && age < 30, `${age} s`)
})
