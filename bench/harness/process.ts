import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/** A process of a benchmark; told to end with the benchmark, killed when it does not. */
export class BenchProcess {
  readonly child: ChildProcess
  readonly #lines: string[] = []
  readonly #waiting: { readonly pattern: RegExp; readonly resolve: (match: RegExpExecArray) => void }[] = []
  readonly #exited: Promise<number | null>

  constructor(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    })
    this.#exited = new Promise((resolve) => this.child.on('exit', resolve))
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      createInterface({ input: stream }).on('line', (line) => this.#onLine(line))
    }
    all.add(this)
  }

  /** Resolves with the first line, past or future, that matches. */
  async line(pattern: RegExp, timeoutMs = 10_000): Promise<RegExpExecArray> {
    for (const line of this.#lines) {
      const match = pattern.exec(line)
      if (match !== null) return match
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(
          new Error(`no line ${pattern} within ${timeoutMs} ms; last: ${this.#lines.slice(-5).join(' | ')}`),
        )
      }, timeoutMs)
      this.#waiting.push({
        pattern,
        resolve: (match) => {
          clearTimeout(timer)
          resolve(match)
        },
      })
      void this.#exited.then((code) => {
        clearTimeout(timer)
        reject(new Error(`exited with ${code} before ${pattern}; last: ${this.#lines.slice(-5).join(' | ')}`))
      })
    })
  }

  /** Sends a line to standard input. */
  tell(line: string): void {
    this.child.stdin!.write(`${line}\n`)
  }

  forget(): void {
    this.#lines.length = 0
  }

  get lines(): readonly string[] {
    return this.#lines
  }

  async stop(): Promise<void> {
    all.delete(this)
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    this.child.kill('SIGTERM')
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 2000)
    await this.#exited
    clearTimeout(timer)
  }

  #onLine(line: string): void {
    this.#lines.push(line)
    if (this.#lines.length > 200) this.#lines.shift()
    for (let index = 0; index < this.#waiting.length; index++) {
      const match = this.#waiting[index]!.pattern.exec(line)
      if (match !== null) this.#waiting.splice(index--, 1)[0]!.resolve(match)
    }
  }
}

const all = new Set<BenchProcess>()
process.on('exit', () => {
  for (const process of all) process.child.kill('SIGKILL')
})
