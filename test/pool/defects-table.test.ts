import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

/* Compiled, this file lies in dist/test/pool. */
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..')

interface Row {
  readonly defect: number
  readonly titles: readonly string[]
}

function rows(): Row[] {
  const readme = readFileSync(join(root, 'src/pool/README.md'), 'utf8')
  return readme
    .split('\n')
    .filter((line) => /^\|\s*\d+\s*\|/.test(line))
    .map((line) => {
      const cells = line.split('|').map((cell) => cell.trim())
      return {
        defect: Number(cells[1]),
        titles: Array.from(cells[4]!.matchAll(/`([^`]+)`/g), ([, title]) => title!),
      }
    })
}

function titles(): Set<string> {
  const folder = join(root, 'test/pool')
  const found = new Set<string>()
  for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.test.ts')) continue
    const source = readFileSync(join(folder, file), 'utf8')
    for (const [, title] of source.matchAll(/^test\('([^']+)'/gm)) found.add(title!)
  }
  return found
}

/** Defects of the origin that a pool can have or avoid. */
const OURS = [
  3, 5, 6, 7, 8, 10, 20, 22, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52,
  53, 58, 59, 67, 70, 71, 72, 73, 74, 75, 76, 85,
]

test('every defect of the origin that concerns pools has a row, and one only', () => {
  assert.deepEqual(
    rows().map(({ defect }) => defect),
    OURS,
  )
})

test('every row names tests that exist', () => {
  const known = titles()
  for (const row of rows()) {
    assert.ok(row.titles.length > 0, `defect ${row.defect} is held by nothing`)
    for (const title of row.titles) assert.ok(known.has(title), `defect ${row.defect}: no test "${title}"`)
  }
})

test('the README lists every file of the folder', () => {
  const readme = readFileSync(join(root, 'src/pool/README.md'), 'utf8')
  for (const file of readdirSync(join(root, 'src/pool')))
    if (file.endsWith('.ts')) assert.ok(readme.includes(`\`${file}\``), `${file} is not in the README`)
})
