import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type SessionKeySource, sessionKeyOf } from '../../src/frontend/session-key.ts'

const HEADERS = ['host', 'a', 'cookie', 'x=1; other=no', 'x-session', 'h', 'cookie', ' sid = s 7 ;sid=late']

const CASES: readonly (readonly [SessionKeySource, string | undefined])[] = [
  [{ from: 'client-address' }, '10.0.0.1'],
  [{ from: 'header', name: 'X-Session' }, 'h'],
  [{ from: 'header', name: 'x-none' }, undefined],
  [{ from: 'cookie', name: 'sid' }, 's 7'],
  [{ from: 'cookie', name: 'x' }, '1'],
  [{ from: 'cookie', name: 'si' }, undefined],
]

test('the session of a request is the first that its source names, in any of several cookie fields', () => {
  for (const [source, expected] of CASES)
    assert.equal(sessionKeyOf(source, HEADERS, '10.0.0.1'), expected, JSON.stringify(source))
})

test('one file alone decides which session a request belongs to', () => {
  const source = fileURLToPath(new URL('../../../src', import.meta.url))
  const deciding = readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .filter((file) => /function (sessionKeyOf|cookieOf)\(/.test(readFileSync(join(source, file), 'utf8')))
  assert.deepEqual(deciding, [join('frontend', 'session-key.ts')])
})
