import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const START_TIMEOUT_MS = 10_000
const EXIT_TIMEOUT_MS = 5000

/** A program of test/integration/programs in a process of its own, driven by lines on its standard input. */
export class AgentProcess {
  /** Path, or `host:port` with the real port. */
  readonly address: string
  readonly #child: ChildProcess
  readonly #lines: string[]
  readonly #exited: Promise<void>
  #onLine: () => void = () => undefined

  private constructor(child: ChildProcess, lines: string[], exited: Promise<void>, address: string) {
    this.#child = child
    this.#lines = lines
    this.#exited = exited
    this.address = address
  }

  /** Resolves when the program says that it is ready. `address`: see the program. */
  static async start(program: string, args: readonly string[]): Promise<AgentProcess> {
    const file = fileURLToPath(new URL(`./programs/${program}.js`, import.meta.url))
    const child = spawn(process.execPath, [file, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
    const lines: string[] = []
    const exited = new Promise<void>((resolve) => child.once('close', () => resolve()))
    child.stdin.on('error', () => undefined)
    let started: AgentProcess | undefined
    await within(
      `the start of ${program} ${args.join(' ')}`,
      START_TIMEOUT_MS,
      new Promise<void>((resolve, reject) => {
        createInterface({ input: child.stdout }).on('line', (line) => {
          lines.push(line)
          if (line.startsWith('ready')) resolve()
          if (started !== undefined) started.#onLine()
        })
        child.once('exit', (code) => reject(new Error(`${program} exited with ${code} before it was ready`)))
      }),
    )
    const port = lines.find((line) => line.startsWith('ready'))!.slice('ready '.length)
    const address = args[1]!.endsWith(':0') ? args[1]!.replace(/0$/, port) : args[1]!
    started = new AgentProcess(child, lines, exited, address)
    return started
  }

  get pid(): number {
    return this.#child.pid!
  }

  get hasExited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** Resolves when the process and its pipes are gone. */
  get exited(): Promise<void> {
    return this.#exited
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** SIGKILL; resolves when the kernel has closed its sockets. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await within('the end of a killed agent', EXIT_TIMEOUT_MS, this.#exited)
  }

  tell(line: string): void {
    this.#child.stdin!.write(`${line}\n`)
  }

  /** Tells the program something and resolves with the rest of its answer, a line that starts with the same word. */
  async ask(word: string): Promise<string> {
    const from = this.#lines.length
    const answer = (): string | undefined => this.#lines.slice(from).find((line) => line.startsWith(word))
    const answered = new Promise<void>((resolve) => {
      this.#onLine = () => {
        if (answer() !== undefined) resolve()
      }
    })
    this.tell(word)
    await within(`the answer to "${word}"`, EXIT_TIMEOUT_MS, answered)
    return answer()!.slice(word.length).trim()
  }
}

/** Rejects when `work` takes longer than `timeoutMs`. */
export async function within<T>(what: string, timeoutMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`did not happen within ${timeoutMs} ms: ${what}`)), timeoutMs)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
