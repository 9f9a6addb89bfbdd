import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { testTitles } from '../support/test-titles.ts'

/* Compiled, this file lies in dist/test/limits. */
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..')
const readme = readFileSync(join(root, 'src/proxy/limits/README.md'), 'utf8')
const known = testTitles(join(root, 'test'))

/** How many defects of the origin's limiter are known. */
const DEFECTS = 13
/** Files whose tests run under other names: each must be called by a file that does run. */
const SHARED = new Map([['store/shared-limit-store-conformance', 'store/limit-store.test.ts']])

const rows = readme
  .split('\n')
  .filter((line) => /^\|\s*\d+\s*\|/.test(line))
  .map((line) => {
    const [, defect, what, title, also] = line.split('|').map((cell) => cell.trim())
    const held = Array.from(also!.matchAll(/([\w./-]+): ((?:`[^`]+`(?:, )?)+)/g)).flatMap(
      ([, file, titles]) => Array.from(titles!.matchAll(/`([^`]+)`/g), ([, one]) => [file!, one!] as const),
    )
    return { defect: Number(defect), what: what!, title: title!, held }
  })

test('every defect of the origin has a row, and one only', () => {
  assert.deepEqual(
    rows.map(({ defect }) => defect),
    Array.from({ length: DEFECTS }, (_, index) => index + 1),
  )
  for (const { defect, what } of rows) assert.ok(what.length > 0, `defect ${defect} is not named`)
})

test('every row names the test of its number, and no test of a number is without a row', () => {
  const numbered = [...(known.get('limits/origin-defects') ?? [])]
  assert.deepEqual(
    rows.map(({ defect, title }) => `${defect}: ${title}`),
    numbered,
  )
})

test('what else holds a defect off is a test that runs, in the file that the row says', () => {
  for (const { defect, held } of rows) {
    assert.ok(held.length > 0, `defect ${defect} is held by one test alone`)
    for (const [file, title] of held) {
      assert.ok(known.get(file)?.has(title), `defect ${defect}: ${file} has no test "${title}"`)
      const caller = SHARED.get(file)
      if (caller === undefined)
        assert.ok(existsSync(join(root, 'test', `${file}.test.ts`)), `${file} is not run`)
      else assert.match(readFileSync(join(root, 'test', caller), 'utf8'), /^sharedLimitStoreConformance\(/m)
    }
  }
})

test('the README lists every file of the folder', () => {
  for (const file of readdirSync(join(root, 'src/proxy/limits')))
    if (file.endsWith('.ts')) assert.ok(readme.includes(`\`${file}\``), `${file} is not in the README`)
})
