import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import type { TestContext } from 'node:test'

export interface RunningProcess {
  readonly child: ChildProcess
  readonly pid: number
  /** Both streams so far. */
  output(): string
  /** Resolves with the match once the output has it; rejects when the process ends or time runs out before. */
  said(pattern: RegExp, timeoutMs?: number): Promise<RegExpMatchArray>
  /** Resolves with the exit code, or the signal's name. Rejects when time runs out. */
  ended(timeoutMs?: number): Promise<number | string>
}

/** Starts a Node program for one test and kills it with the test. */
export function startProcess(
  test: TestContext,
  args: readonly string[],
  options: { readonly env?: Readonly<Record<string, string>>; readonly cwd?: string } = {},
): RunningProcess {
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...options.env },
    cwd: options.cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  const watchers = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (part: string) => {
      text += part
      for (const look of watchers) look()
    })
  const end = new Promise<number | string>((resolve) => {
    child.once('close', (code, signal) => resolve(signal ?? code ?? -1))
  })
  test.after(async () => {
    child.kill('SIGKILL')
    await end
  })
  return {
    child,
    pid: child.pid ?? 0,
    output: () => text,
    said: (pattern, timeoutMs = 20_000) =>
      new Promise((resolve, reject) => {
        const fail = (why: string): void => finish(() => reject(new Error(`${why}: ${pattern}\n${text}`)))
        const timer = setTimeout(() => fail(`not said within ${timeoutMs} ms`), timeoutMs)
        const look = (): void => {
          const match = pattern.exec(text)
          if (match !== null) finish(() => resolve(match))
        }
        function finish(settle: () => void): void {
          clearTimeout(timer)
          watchers.delete(look)
          settle()
        }
        watchers.add(look)
        void end.then((code) => {
          look()
          fail(`ended with ${code} without saying`)
        })
        look()
      }),
    ended: (timeoutMs = 20_000) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new Error(`still running after ${timeoutMs} ms\n${text}`)),
          timeoutMs,
        )
        void end.then((code) => {
          clearTimeout(timer)
          resolve(code)
        })
      }),
  }
}

/** Ids of the processes that a process started and that still run. Linux. */
export function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((candidate) => parentOf(candidate) === pid)
}

export function isRunning(pid: number): boolean {
  const state = statOf(pid)?.[0]
  return state !== undefined && state !== 'Z'
}

function parentOf(pid: number): number | undefined {
  const parent = statOf(pid)?.[1]
  return parent === undefined ? undefined : Number(parent)
}

/** State, parent, ... of a process: what follows its name, which may hold anything. */
function statOf(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}
