import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import type { BenchResult, Row } from './result.ts'

/** A table for people. */
export function printTable(result: BenchResult): void {
  console.log(`\n${result.bench}`)
  const width = Math.max(...result.rows.map((line) => line.name.length), 4)
  for (const line of result.rows) console.log(`  ${line.name.padEnd(width)}  ${figure(line)}`)
}

function figure(line: Row): string {
  if (line.notRun !== undefined) return `not run: ${line.notRun}`
  const goal = `${line.isCeiling === true ? '<=' : '>='} ${line.goal}`
  const detail = Object.entries(line.detail ?? {})
    .map(([name, value]) => `${name} ${typeof value === 'number' ? compact(value) : value}`)
    .join(', ')
  const judged =
    line.goal === 0 ? 'no goal'.padEnd(20) : `goal ${goal.padEnd(8)} ${line.ok ? 'met   ' : 'MISSED'}`
  return `${line.ratio.toFixed(2).padStart(6)}  ${judged}  ${detail}`
}

function compact(value: number): string {
  if (value >= 10_000) return `${(value / 1000).toFixed(1)}K`
  return value >= 100 ? value.toFixed(0) : value.toFixed(3)
}

/** Writes the result with the machine it was measured on to `bench/results/<name>.json` under the cwd. */
export function saveResult(result: BenchResult): void {
  mkdirSync('bench/results', { recursive: true })
  const machine = {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.version,
    revision: revision(),
    at: new Date().toISOString(),
  }
  writeFileSync(`bench/results/${result.bench}.json`, `${JSON.stringify({ machine, ...result }, null, 2)}\n`)
}

function revision(): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], {
      encoding: 'utf8',
      stdio: 'pipe',
    }).trim()
  } catch {
    return 'unknown'
  }
}

/** The last line of a run with `--json`. */
export function printJson(result: BenchResult): void {
  const rows = result.rows.map(({ name, ratio, goal, isCeiling, ok, notRun }) => ({
    name,
    ratio: Number.isFinite(ratio) ? Number(ratio.toFixed(3)) : null,
    goal: goal === 0 ? null : goal,
    ...(isCeiling === true ? { isCeiling } : {}),
    ok,
    ...(notRun === undefined ? {} : { notRun }),
  }))
  console.log(JSON.stringify({ bench: result.bench, rows }))
}
