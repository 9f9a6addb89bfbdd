import { WeirError } from '../core/errors.ts'
import type { Log } from '../telemetry/log.ts'
import type { Config } from './config/config.ts'
import { loadConfig } from './config/load.ts'
import { formatProblem } from './config/problem.ts'
import { FileWatch } from './file-watch.ts'
import type { WeirSystem } from './system.ts'

/** Options that are read at the start only. */
const FIXED: readonly (readonly [name: string, value: (config: Config) => unknown])[] = [
  ['listen', (config) => config.listen],
  ['http', (config) => config.http],
  ['storage.path', (config) => config.storage.path],
  ['maxOpenRequests', (config) => config.maxOpenRequests],
  ['sessionKey', (config) => config.sessionKey],
]

/** Brings changes of the configuration file into the running system, one after the other. */
export class Reloader {
  readonly #system: WeirSystem
  readonly #log: Log
  readonly #watch: FileWatch
  #running: Promise<void> = Promise.resolve()
  #isQueued = false
  #isStopped = false

  constructor(system: WeirSystem, log: Log) {
    this.#system = system
    this.#log = log
    this.#watch = new FileWatch(() => this.reload('the file changed'))
    this.#watch.follow(system.config.files)
  }

  /** Reads the file again. Calls that come while one is under way are served by one more. */
  reload(reason: string): void {
    if (this.#isQueued || this.#isStopped) return
    this.#isQueued = true
    this.#running = this.#running.then(async () => {
      this.#isQueued = false
      if (!this.#isStopped) await this.#reload(reason)
    })
  }

  stop(): void {
    this.#isStopped = true
    this.#watch.close()
  }

  async #reload(reason: string): Promise<void> {
    const { config: old } = this.#system
    this.#watch.mark()
    const loaded = loadConfig(old.file)
    if (!loaded.isValid) {
      this.#refuse(loaded.problems.map(formatProblem))
      return
    }
    const { config } = loaded
    this.#watch.follow(config.files)
    try {
      await this.#system.apply(config)
      this.#log.reconfigure(config.log)
    } catch (error) {
      this.#refuse([WeirError.from(error).message])
      return
    }
    this.#notice('info', `configuration reloaded: ${reason}`, { file: config.file })
    const fixed = FIXED.filter(([, of]) => JSON.stringify(of(old)) !== JSON.stringify(of(config))).map(
      ([name]) => name,
    )
    if (fixed.length > 0)
      this.#notice('warn', `changes of ${fixed.join(', ')} take effect at the next start only`, {
        options: fixed,
      })
  }

  #refuse(problems: readonly string[]): void {
    this.#system.refuse(problems)
    this.#notice(
      'error',
      `the new configuration is refused, the old one stays in force: ${problems.join('; ')}`,
      {
        problems,
      },
    )
  }

  #notice(level: 'info' | 'warn' | 'error', message: string, facts: Record<string, unknown>): void {
    this.#log.probe.notice?.(level, message, facts)
  }
}
