import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { testTitles, titlesIn } from '../support/test-titles.ts'

/* Compiled, this file lies in dist/test/pool. */
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..')
const readme = readFileSync(join(root, 'src/pool/README.md'), 'utf8')

/** How many our wire notes list. */
const DEFECTS = 86
/** Files whose tests run under other names: each must be called by a file that does run. */
const SHARED = new Map([['conformance/every-connection', 'conformance/connection.test.ts']])

interface Row {
  readonly defect: number
  readonly here: string
  /** `file: title` pairs. */
  readonly held: readonly (readonly [file: string, title: string])[]
}

/** The last cell: `folder/file: "title", "title"; folder/file: "title"`, with backticks for quotes. */
function heldBy(cell: string): Row['held'] {
  return Array.from(cell.matchAll(/([\w./-]+): ((?:`[^`]+`(?:, )?)+)/g)).flatMap(([, file, titles]) =>
    Array.from(titles!.matchAll(/`([^`]+)`/g), ([, title]) => [file!, title!] as const),
  )
}

const rows: readonly Row[] = readme
  .split('\n')
  .filter((line) => /^\|\s*\d+\s*\|/.test(line))
  .map((line) => {
    const [, defect, , here, held] = line.split('|').map((cell) => cell.trim())
    return { defect: Number(defect), here: here!, held: heldBy(held!) }
  })

test('every defect of the origin has a row, and one only', () => {
  assert.deepEqual(
    rows.map(({ defect }) => defect),
    Array.from({ length: DEFECTS }, (_, n) => n + 1),
  )
})

test('every row says what stands in its place and names tests that run, each in its file', () => {
  const known = testTitles(join(root, 'test'))
  for (const { defect, here, held } of rows) {
    assert.ok(here.length > 0, `defect ${defect}: nothing stands in its place`)
    assert.ok(held.length > 0, `defect ${defect} is held by nothing`)
    for (const [file, title] of held) {
      assert.ok(known.get(file)?.has(title), `defect ${defect}: ${file} has no test "${title}"`)
      const caller = SHARED.get(file)
      if (caller === undefined)
        assert.ok(existsSync(join(root, 'test', `${file}.test.ts`)), `${file} is not run`)
      else assert.match(readFileSync(join(root, 'test', caller), 'utf8'), /^for .* everyConnection\(/m)
    }
  }
})

test('nothing in a row of the table is left unread', () => {
  for (const line of readme.split('\n').filter((text) => /^\|\s*\d+\s*\|/.test(text))) {
    const cell = line.split('|')[4]!
    const read = heldBy(cell)
    assert.equal(cell.match(/`/g)?.length, 2 * read.length, line)
  }
})

test('titles are found as they run: not in comments, not when skipped, and whatever their quotes', () => {
  const source = [
    "test('plain', () => {})",
    'test("it\'s quoted", () => {})',
    `  test(\`over $\{a.b}, twice\`, async (t) => {})`,
    "scenario(\n  'below', async (stage) => {})",
    "// test('in a line comment', () => {})",
    "/* test('in a block', () => {})\ntest('still in it', () => {}) */",
    "test.skip('skipped', () => {})",
    "test('skipped by option', { skip: true }, () => {})",
    "test('planned')",
    "call(test('not at the beginning', () => {}))",
  ].join('\n')
  assert.deepEqual([...titlesIn(source)], ['plain', "it's quoted", 'over …, twice', 'below'])
})

test('the README lists every file of the folder', () => {
  for (const file of readdirSync(join(root, 'src/pool')))
    if (file.endsWith('.ts')) assert.ok(readme.includes(`\`${file}\``), `${file} is not in the README`)
})
