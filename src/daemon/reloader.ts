import type { AppliedView } from '../admin/views.ts'
import { WeirError } from '../core/errors.ts'
import type { Log } from '../telemetry/log.ts'
import type { Config } from './config/config.ts'
import { loadConfig } from './config/load.ts'
import { formatProblem, type Problem } from './config/problem.ts'
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

/** Logs what is worth knowing of a configuration that is put in force. */
export function warnOf(warnings: readonly Problem[], log: Log): void {
  for (const warning of warnings)
    log.probe.notice?.('warn', formatProblem(warning), { option: warning.option })
}

/** Brings changes of the configuration file into the running system, one after the other. */
export class Reloader {
  readonly #system: WeirSystem
  readonly #log: Log
  readonly #watch: FileWatch
  /** What the parts that are read once were made from. */
  readonly #started: Config
  #running: Promise<unknown> = Promise.resolve()
  /** The reload that waits for the one under way. */
  #queued: Promise<AppliedView> | undefined
  #isStopped = false

  constructor(system: WeirSystem, log: Log) {
    this.#system = system
    this.#log = log
    this.#started = system.config
    this.#watch = new FileWatch(() => this.reload('the file changed'))
    this.#watch.follow(system.config.files)
  }

  /** Reads the file again. What comes of it is logged. */
  reload(reason: string): void {
    this.reloaded(reason).catch(() => undefined)
  }

  /**
   * Reads the file again. Calls that come while one is under way are served by one more.
   * @throws WeirError INVALID_ARGUMENT when the file has mistakes, CONFLICT when it cannot be put in force
   */
  reloaded(reason: string): Promise<AppliedView> {
    if (this.#queued !== undefined) return this.#queued
    const next = this.#running.then(async () => {
      this.#queued = undefined
      return this.#reload(reason)
    })
    this.#queued = next
    this.#running = next.catch(() => undefined)
    return next
  }

  stop(): void {
    this.#isStopped = true
    this.#watch.close()
  }

  async #reload(reason: string): Promise<AppliedView> {
    if (this.#isStopped) throw new WeirError('DRAINING', 'Weir is draining and takes no new configuration')
    const { config: old } = this.#system
    this.#watch.mark()
    const loaded = loadConfig(old.file)
    if (!loaded.isValid) this.#refuse('INVALID_ARGUMENT', loaded.problems.map(formatProblem))
    const { config } = loaded
    this.#watch.follow(config.files)
    const fixed = FIXED.filter(
      ([, of]) => JSON.stringify(of(this.#started)) !== JSON.stringify(of(config)),
    ).map(([name]) => name)
    try {
      await this.#system.apply(config, fixed)
      this.#log.reconfigure(config.log)
      warnOf(loaded.warnings, this.#log)
    } catch (error) {
      this.#refuse('CONFLICT', [WeirError.from(error).message])
    }
    this.#notice('info', `configuration reloaded: ${reason}`, { file: config.file })
    if (fixed.length > 0)
      this.#notice('warn', `changes of ${fixed.join(', ')} take effect at the next start only`, {
        options: fixed,
      })
    const { file, loadedAt, pendingRestart } = this.#system.configState
    return { file, loadedAt, pendingRestart }
  }

  #refuse(code: 'INVALID_ARGUMENT' | 'CONFLICT', problems: readonly string[]): never {
    this.#system.refuse(problems)
    const said = 'the new configuration is refused, the old one stays in force'
    this.#notice('error', `${said}: ${problems.join('; ')}`, { problems })
    throw new WeirError(code, `${said}:\n${problems.join('\n')}`)
  }

  #notice(level: 'info' | 'warn' | 'error', message: string, facts: Record<string, unknown>): void {
    this.#log.probe.notice?.(level, message, facts)
  }
}
