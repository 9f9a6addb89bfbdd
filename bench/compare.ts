import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { BENCHES } from './benches.ts'
import { median, spread } from './harness/statistics.ts'

interface JsonResult {
  readonly rows: readonly { readonly name: string; readonly ratio: number | null }[]
}

const ROUNDS = 3

/**
 * `compare <revision> [bench]`: builds another revision beside this one, runs the benchmark in both in turn, and
 * prints how each row's ratio changed: from that revision to the files as they are here, uncommitted ones included. The
 * spread tells whether a change is more than noise. A row that is measured against ourselves (`pick`) says how a cost
 * grows, and not what it is.
 */
export async function compareRevisions(args: readonly string[]): Promise<void> {
  const [revision, bench = 'pool-uds'] = args
  if (revision === undefined) refuse('usage: npm run bench -- compare <revision> [bench]')
  if (BENCHES[bench] === undefined)
    refuse(`no benchmark "${bench}"; there are: ${Object.keys(BENCHES).join(', ')}`)
  const git = (...words: string[]): string =>
    execFileSync('git', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  let commit: string
  try {
    commit = git('rev-parse', '--verify', `${revision}^{commit}`).trim()
  } catch {
    refuse(`"${revision}" is no revision of this repository`)
  }
  const folder = mkdtempSync(join(tmpdir(), 'weir-compare-'))
  try {
    git('worktree', 'add', '--detach', folder, commit)
    if (existsSync('node_modules')) symlinkSync(resolve('node_modules'), join(folder, 'node_modules'))
    execFileSync('npm', ['run', 'build', '--silent'], { cwd: folder, stdio: 'inherit' })
    const before: Record<string, number[]> = {}
    const after: Record<string, number[]> = {}
    for (let round = 0; round < ROUNDS; round++) {
      const sides = [
        () => collect(before, runBench(folder, bench)),
        () => collect(after, runBench('.', bench)),
      ]
      for (const run of round % 2 === 0 ? sides : sides.reverse()) run()
    }
    print(revision, before, after)
  } finally {
    rmSync(folder, { recursive: true, force: true })
    git('worktree', 'prune')
  }
}

function refuse(text: string): never {
  console.error(text)
  process.exit(2)
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
