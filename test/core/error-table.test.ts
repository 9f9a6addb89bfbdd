import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { ERROR_CODES } from '../../src/core/errors.ts'

const readme = readFileSync(new URL('../../../src/core/README.md', import.meta.url), 'utf8')

test('the documented error codes are those of the code, with the same statuses', () => {
  const rows = readme.matchAll(/^\| `([A-Z_]+)`\s*\| (yes|no)\s*\| (\d+)\s*\| (\d+)\s*\|/gm)
  const documented = Object.fromEntries(
    Array.from(rows, ([, code, retryable, grpc, http]) => [
      code,
      { retryable: retryable === 'yes', grpc: Number(grpc), http: Number(http) },
    ]),
  )
  assert.deepEqual(documented, { ...ERROR_CODES })
})
