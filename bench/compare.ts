import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { median, spread } from './harness/statistics.ts'

interface JsonResult {
  readonly rows: readonly { readonly name: string; readonly ratio: number | null }[]
}

const ROUNDS = 3

/**
 * `compare <revision> [bench]`: builds another revision beside this one, runs the benchmark in both in turn, and
 * prints how each row's ratio changed. The spread tells whether a change is more than noise.
 */
export async function compareRevisions(args: readonly string[]): Promise<void> {
  const [revision, bench = 'pool-uds'] = args
  if (revision === undefined) {
    console.error('usage: npm run bench -- compare <revision> [bench]')
    process.exit(2)
  }
  const folder = mkdtempSync(join(tmpdir(), 'weir-compare-'))
  const git = (...words: string[]): string => execFileSync('git', words, { encoding: 'utf8' })
  try {
    git('worktree', 'add', '--detach', folder, revision)
    if (existsSync('node_modules')) symlinkSync(resolve('node_modules'), join(folder, 'node_modules'))
    execFileSync('npm', ['run', 'build', '--silent'], { cwd: folder, stdio: 'inherit' })
    const before: Record<string, number[]> = {}
    const after: Record<string, number[]> = {}
    for (let round = 0; round < ROUNDS; round++) {
      collect(before, runBench(folder, bench))
      collect(after, runBench('.', bench))
    }
    print(revision, before, after)
  } finally {
    git('worktree', 'remove', '--force', folder)
    rmSync(folder, { recursive: true, force: true })
  }
}

function runBench(folder: string, bench: string): JsonResult {
  const output = execFileSync('node', ['dist/bench/main.js', bench, '--json'], {
    cwd: folder,
    encoding: 'utf8',
  })
  return JSON.parse(output.trim().split('\n').at(-1)!) as JsonResult
}

function collect(into: Record<string, number[]>, result: JsonResult): void {
  for (const { name, ratio } of result.rows) {
    if (ratio === null) continue
    into[name] ??= []
    into[name].push(ratio)
  }
}

function print(
  revision: string,
  before: Readonly<Record<string, number[]>>,
  after: Readonly<Record<string, number[]>>,
): void {
  for (const [name, now] of Object.entries(after)) {
    const then = before[name]
    if (then === undefined) {
      console.log(`${name}: ${median(now).toFixed(3)}, not in ${revision}`)
      continue
    }
    const change = (median(now) / median(then) - 1) * 100
    const range = (values: readonly number[]): string =>
      spread(values)
        .map((value) => value.toFixed(3))
        .join('..')
    console.log(
      `${name}: ${median(then).toFixed(3)} (${range(then)}) -> ${median(now).toFixed(3)} (${range(now)}), ` +
        `${change >= 0 ? '+' : ''}${change.toFixed(1)} %`,
    )
  }
}
