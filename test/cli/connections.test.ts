import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ConnectionView } from '../../src/admin/views.ts'
import { Place } from '../daemon/harness.ts'
import { commandsOf, parsed } from './support.ts'

test('connections show their use, failures and share, and no latency before the first answer', async (t) => {
  const place = await Place.make(t)
  await place.agent('waf')
  await place.configure('{ waf: { endpoint: "unix:./waf.sock", connections: 1 } }', 'waf')
  const daemon = await place.serve('--wait-for-agents', '5000')
  const weir = commandsOf(place)
  const unused = await weir('connections', 'waf')
  assert.match(unused.text, /EVENTS +ERRORS +TIMEOUTS +SCORE +LATENCY/)
  assert.match(unused.text, /\d +waf +uds +ready +0 +0 +0 +0 +\d\.\d\d +- +\d+ s/)
  assert.match((await weir('agents', 'waf')).text, /\nlatency +-\n/)
  for (let n = 0; n < 3; n++) assert.equal((await daemon.get('/')).status, 200)
  const [one] = parsed<ConnectionView[]>(await weir('connections', '--json'))
  assert.deepEqual(
    [one?.events, one?.errors, one?.timeouts, one?.score, one?.bodyBytesInFlight],
    [3, 0, 0, 1, 0],
  )
  assert.ok(one!.weight > 0 && one!.limit >= 1 && one!.latencyMs > 0, JSON.stringify(one))
  assert.match((await weir('connections')).text, / +3 +0 +0 +1\.00 +\d+\.\d\d ms/)
})
