import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

/** A folder of its own for one test, removed with it. Short, because Unix socket paths end at 107 bytes. */
export async function temporaryFolder(test: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'weir-'))
  test.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}
