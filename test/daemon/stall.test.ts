import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { poolSettingsOf } from '../../src/daemon/agents/settings.ts'
import { loadConfig } from '../../src/daemon/config/load.ts'
import { temporaryFolder } from '../support/temp-folder.ts'

test('an agent that may take long for each event is not taken for stuck meanwhile', async (t) => {
  const folder = await temporaryFolder(t)
  const stallOf = async (options: string): Promise<number | undefined> => {
    const text = [
      'listen: { http: 127.0.0.1:0 }',
      `agents: { waf: { endpoint: "grpc://127.0.0.1:1"${options} } }`,
      'routes: [{ match: { path: /* }, upstream: "http://127.0.0.1:1", agents: [waf] }]',
    ]
    await writeFile(join(folder, 'weir.yaml'), text.join('\n'))
    const loaded = loadConfig(join(folder, 'weir.yaml'), {})
    assert.ok(loaded.isValid)
    return poolSettingsOf(loaded.config.agents[0]!).health.stallMs
  }
  assert.equal(await stallOf(''), 10_000)
  assert.equal(await stallOf(', timeoutMs: 60000, maxTimeoutMultiplier: 3'), 360_000)
  assert.equal(await stallOf(', timeoutMs: 60000, stallMs: 5000'), 5000)
})
