import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** What a child of the demo sends once it can be used. */
export interface ReadyMessage {
  readonly ready: true
  /** Where it listens, when it chose the port itself. */
  readonly port?: number
}

export interface ChildOptions {
  readonly name: string
  /** Compiled module to run, beside this one. */
  readonly module: string
  readonly args?: readonly string[]
  /** Asked before each start: a restarted agent gets the port that the first one chose. */
  readonly environment: () => Readonly<Record<string, string>>
  readonly onLine: (name: string, line: string) => void
  /** It ended although nobody asked it to. */
  readonly onCrash: (name: string, detail: string) => void
}

/** Pause before a crashed child is started again, milliseconds. */
const RESTART_AFTER_MS = 500
/** Time a child has to end by itself once told to, milliseconds. */
const STOP_WITHIN_MS = 8000

/** A process of the demo: started again when it dies, ended with its parent (the IPC channel closes). */
export class Child {
  readonly #options: ChildOptions
  #process: ChildProcess | undefined
  #restart: NodeJS.Timeout | undefined
  #isStopping = false

  constructor(options: ChildOptions) {
    this.#options = options
  }

  get pid(): number | undefined {
    return this.#process?.pid
  }

  /** Resolves with the child's first message; rejects with what it said last when it ends before. */
  start(): Promise<ReadyMessage> {
    const { name, module, args, environment, onLine } = this.#options
    const child = fork(fileURLToPath(new URL(module, import.meta.url)), args ?? [], {
      env: { ...process.env, ...environment() },
      execArgv: [],
      /* A terminal sends Ctrl-C to the whole group; in groups of their own, children end when they are told to. */
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    this.#process = child
    let lastWords = ''
    for (const stream of [child.stdout, child.stderr])
      eachLine(stream, (line) => {
        lastWords = line
        /* That their connections end is no news once they are told to end. */
        if (!this.#isStopping || name === 'weir') onLine(name, line)
      })
    return new Promise((resolve, reject) => {
      let isReady = false
      child.once('message', (message) => {
        isReady = true
        resolve(message as ReadyMessage)
      })
      child.once('error', reject)
      child.once('close', (code, signal) => {
        this.#process = undefined
        if (!isReady) reject(new Error(lastWords === '' ? `${name} ended with ${code ?? signal}` : lastWords))
        else if (!this.#isStopping) this.#crashed(`ended with ${code ?? signal}`)
      })
    })
  }

  /** From now on its end is no crash. */
  release(): void {
    this.#isStopping = true
    clearTimeout(this.#restart)
  }

  /** Ends the process: asked first, killed when it does not listen. Resolves when it is gone. */
  async stop(): Promise<void> {
    this.release()
    const child = this.#process
    if (child === undefined) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS)
      child.once('close', () => {
        clearTimeout(timer)
        resolve()
      })
      child.kill('SIGTERM')
    })
  }

  #crashed(detail: string): void {
    this.#options.onCrash(this.#options.name, detail)
    this.#restart = setTimeout(() => {
      this.start().catch((error: Error) => {
        if (!this.#isStopping) this.#crashed(error.message)
      })
    }, RESTART_AFTER_MS)
  }
}

function eachLine(stream: NodeJS.ReadableStream | null, onLine: (line: string) => void): void {
  let rest = ''
  stream?.setEncoding('utf8')
  stream?.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line !== '') onLine(line)
  })
}
