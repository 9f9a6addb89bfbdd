import assert from 'node:assert/strict'
import dns from 'node:dns'
import { writeFile } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '../../src/core/clock.ts'
import { systemRandom } from '../../src/core/random.ts'
import { newPool } from '../../src/daemon/agents/new-pool.ts'
import { loadConfig } from '../../src/daemon/config/load.ts'
import { listenGrpc } from '../../src/transport/grpc/grpc-listener.ts'
import { ScriptedAgent } from '../conformance/support/scripted-agent.ts'
import { eventually } from '../support/eventually.ts'
import { temporaryFolder } from '../support/temp-folder.ts'

const ADDRESSES = ['127.0.0.1', '127.0.0.2']

test('the connections of a pool spread over all addresses of its agent', async (t) => {
  const lookup = dns.promises.lookup
  dns.promises.lookup = (async () =>
    ADDRESSES.map((address) => ({ address, family: 4 }))) as unknown as typeof lookup
  syncBuiltinESMExports()
  const agents = ADDRESSES.map(() => new ScriptedAgent())
  const first = await listenGrpc(`${ADDRESSES[0]}:0`, agents[0]!.options)
  const second = await listenGrpc(`${ADDRESSES[1]}:${first.port}`, agents[1]!.options)
  const path = join(await temporaryFolder(t), 'weir.yaml')
  await writeFile(
    path,
    `listen: { http: 127.0.0.1:0 }
agents:
  waf: { endpoint: grpc://waf.example:${first.port}, connections: 4 }
routes:
  - { match: { path: /* }, upstream: http://127.0.0.1:3000, agents: [waf] }
`,
  )
  const loaded = loadConfig(path)
  assert.ok(loaded.isValid)
  const around = { clock: systemClock, random: systemRandom, probe: {} }
  const pool = newPool(loaded.config.agents[0]!, around, undefined)
  t.after(async () => {
    await pool.drain(systemClock.now())
    await Promise.all([first.close(), second.close()])
    dns.promises.lookup = lookup
    syncBuiltinESMExports()
  })
  pool.start()
  await eventually('all connections are made', () => pool.snapshot().active === 4)
  assert.deepEqual(
    agents.map(({ links }) => links.length),
    [2, 2],
  )
})
