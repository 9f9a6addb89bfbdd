import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LimitKeysView, LimitView } from '../../src/admin/views.ts'
import { Place } from '../daemon/harness.ts'
import { commandsOf, parsed } from './support.ts'

const AGENTS = `{ waf: { endpoint: "unix:./waf.sock", limits: [
  { name: all, ratePerSecond: 0, burst: 100 },
  { name: tenant, ratePerSecond: 0, burst: 3, key: "header:x-tenant" },
  { name: trial, ratePerSecond: 0, burst: 2, key: client-ip, shadow: true } ] } }`

test('what is left of every limit is known before and after a restart, per key too, and looking takes nothing', async (t) => {
  const place = await Place.make(t)
  await place.agent('waf', { onRequestHeaders: () => undefined })
  await place.configure(AGENTS, 'waf')
  const first = await place.serve('--wait-for-agents', '5000')
  const weir = commandsOf(place)
  for (let event = 0; event < 5; event++) await first.get('/', { 'x-tenant': 'globex-secret-key' })
  await first.get('/', { 'x-tenant': 'acme' })

  const [all, tenant, trial] = parsed<LimitView[]>(await weir('limits', 'waf', '--json'))
  assert.equal(all?.remaining, 96, 'what the tenant limit denied was given back')
  assert.deepEqual([tenant?.remaining, tenant?.keys, tenant?.denials], [undefined, 2, 2])
  assert.deepEqual([trial?.isShadow, trial?.denials, trial?.shadowDenials], [true, 0, 2])
  assert.match(
    (await weir('limits')).text,
    /\nwaf +trial +client +0\/s +2 +event +per key +1 +0 +2 +shadow\n/,
  )

  const top = parsed<LimitKeysView>(await weir('limits', 'waf', '--top', 'denials', '--json'))
  assert.deepEqual(
    top.keys
      .map(({ limit, denials, isShadow }) => [limit, denials, isShadow])
      .sort(([one], [other]) => (one! < other! ? -1 : 1)),
    [
      ['tenant', 2, false],
      ['trial', 2, true],
    ],
  )
  assert.match(top.keys.find(({ limit }) => limit === 'tenant')?.key ?? '', /^glob…#[0-9a-f]{8}$/)
  const shown = await weir('limits', 'waf', '--top', 'denials', '--reveal')
  assert.match(shown.text, /globex-secret-key +tenant +0 +3 +never +2 +enforced +memory/)

  const scraped = (await first.admin('/metrics')).text.split('\n')
  for (const line of [
    'weir_limit_agent_denials_total{agent="waf",limit="tenant",mode="enforced"} 2',
    'weir_limit_agent_denials_total{agent="waf",limit="trial",mode="shadow"} 2',
    'weir_limit_denials_total{reason="shadow"} 2',
  ])
    assert.ok(scraped.includes(line), line)

  first.process.child.kill('SIGTERM')
  assert.equal(await first.process.ended(), 0)
  await place.serve('--wait-for-agents', '5000')
  const [stored] = parsed<LimitView[]>(await weir('limits', 'waf', '--json'))
  assert.equal(stored?.remaining, 96, 'read from the store')
  assert.equal(stored?.keys, 0, 'and not brought into memory')
  const key = async (value: string) =>
    parsed<LimitKeysView>(await weir('limits', 'waf', '--key', value, '--json')).keys
  const [globex] = await key('globex-secret-key')
  assert.deepEqual([globex?.remaining, globex?.from], [0, 'store'])
  const [acme] = await key('acme')
  assert.deepEqual([acme?.remaining, acme?.from], [2, 'store'])
  const [nobody, client] = await key('127.0.0.1')
  assert.deepEqual(
    [nobody?.remaining, nobody?.from, client?.key, client?.from],
    [3, 'full', '127.0.0.1', 'store'],
  )
  const lowest = parsed<LimitKeysView>(
    await weir('limits', 'waf', '--top', 'remaining', '--limit', '1', '--json'),
  )
  assert.deepEqual([lowest.keys.length, lowest.keys[0]?.remaining, lowest.isComplete], [1, 0, true])
})

test('questions about keys that nothing can answer are refused with the fix', async (t) => {
  const place = await Place.make(t)
  await place.configure('{ waf: { endpoint: "unix:./waf.sock", limit: { ratePerSecond: 1 } } }', 'waf')
  await place.serve()
  const weir = commandsOf(place)
  const keyless = await weir('limits', 'waf', '--top', 'denials')
  assert.equal(keyless.code, 2)
  assert.match(keyless.text, /no limit of it counts keys apart; set key:/)
  assert.match(
    (await weir('limits', '--key', 'x')).text,
    /--key and --top need an agent; example: weir limits waf/,
  )
  assert.equal((await weir('limits', 'waf', '--top', 'nonsense')).code, 2)
  assert.equal((await weir('limits', 'waf', '--top', 'denials', '--limit', '0')).code, 2)
  assert.equal((await weir('limits', 'wav', '--key', 'x')).code, 1)
})
