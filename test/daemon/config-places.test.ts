import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { loadConfig } from '../../src/daemon/config/load.ts'
import { formatProblem } from '../../src/daemon/config/problem.ts'
import { temporaryFolder } from '../support/temp-folder.ts'

/** The problems of a file with one agent, as lines. */
async function problems(t: TestContext, agent: string, more = ''): Promise<readonly string[]> {
  const file = join(await temporaryFolder(t), 'weir.yaml')
  const text = `
listen: { http: "127.0.0.1:0" }
agents: { waf: { endpoint: "grpc://127.0.0.1:50061"${agent} } }
routes: [{ match: { path: /* }, upstream: "http://127.0.0.1:3000", agents: [waf] }]
${more}`
  await writeFile(file, text)
  const loaded = loadConfig(file, {})
  return loaded.isValid ? [] : loaded.problems.map(formatProblem)
}

test('a store where no file can be is refused, one that is not there yet is not', async (t) => {
  const folder = await temporaryFolder(t)
  await mkdir(join(folder, 'data'))
  await writeFile(join(folder, 'file'), '')
  const cases: readonly (readonly [path: string, problem: RegExp | undefined])[] = [
    [join(folder, 'data'), /storage\.path: \S+data is a folder; name a file in it, for example weir\.db/],
    ['.', /storage\.path: \S+ is a folder/],
    ['/dev/null', /storage\.path: \/dev\/null is neither a file nor absent/],
    [join(folder, 'file', 'weir.db'), /storage\.path: \S+ cannot be used: ENOTDIR/],
    [join(folder, 'file'), undefined],
    [join(folder, 'data', 'weir.db'), undefined],
  ]
  for (const [path, problem] of cases) {
    const found = await problems(t, '', `storage: { path: "${path}" }\n`)
    assert.equal(found.length, problem === undefined ? 0 : 1, `${path}: ${found.join()}`)
    if (problem !== undefined) assert.match(found[0]!, problem)
  }
})

test('an end of sessions below 0, or of sessions that are not kept, is refused', async (t) => {
  assert.match(
    (await problems(t, ', sessions: { idleTtlMs: -1 }')).join(),
    /agents\.waf\.sessions\.idleTtlMs: expected a number from 0 to 2147483647, got -1; example: 300000/,
  )
  const idle = /agents\.waf\.sessions\.idleTtlMs: has no effect: with sessions\.maxSessions: 0 .*; remove it/
  assert.match((await problems(t, ', sessions: { maxSessions: 0, idleTtlMs: 5 }')).join(), idle)
  const preset = 'defaults: { sessions: { maxSessions: 0 } }\n'
  assert.match((await problems(t, ', sessions: { idleTtlMs: 5 }', preset)).join(), idle)
  assert.deepEqual(await problems(t, ', sessions: { maxSessions: 9, idleTtlMs: 5 }', preset), [])
})
