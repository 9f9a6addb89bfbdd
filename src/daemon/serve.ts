import { constants } from 'node:os'
import { WeirError } from '../core/errors.ts'
import { createLog, type Log } from '../telemetry/log.ts'
import { loadConfig } from './config/load.ts'
import { formatProblem } from './config/problem.ts'
import { Reloader, warnOf } from './reloader.ts'
import { WeirSystem } from './system.ts'

export interface ServeOptions {
  /** Configuration file. */
  readonly file: string
  /** Milliseconds; 0: take requests at once, whether agents are there or not. */
  readonly waitForAgentsMs: number
  /** Every listener is open. */
  readonly onServing?: () => void
}

/**
 * Runs Weir in this process until SIGTERM or SIGINT. Resolves with the exit code: 0 after a drain, 1 when it could
 * not start, 2 when the configuration is wrong. A second signal ends the process at once.
 */
export async function serve(options: ServeOptions): Promise<number> {
  const loaded = loadConfig(options.file)
  if (!loaded.isValid) {
    for (const problem of loaded.problems) process.stderr.write(`${formatProblem(problem)}\n`)
    return 2
  }
  const { config } = loaded
  const log = createLog(config.log)
  warnOf(loaded.warnings, log)
  const ending = new AbortController()
  const told = untilTold(log, ending)
  let reloader: Reloader | undefined
  /* A reload that is asked for while agents are waited for is done afterwards; unheard, SIGHUP ends a process. */
  let missed: string | undefined
  const reload = (reason: string): void => {
    if (reloader === undefined) missed = reason
    else reloader.reload(reason)
  }
  const onHangup = (): void => reload('SIGHUP')
  process.on('SIGHUP', onHangup)
  let system: WeirSystem
  try {
    system = await WeirSystem.start(config, {
      log,
      waitForAgentsMs: options.waitForAgentsMs,
      ending: ending.signal,
      onReloadRequested: () => reload('an agent asked for it'),
      reload: async () => {
        if (reloader === undefined) throw new WeirError('CONFLICT', 'Weir is still starting; ask again')
        return reloader.reloaded('an operator asked for it')
      },
    })
  } catch (error) {
    process.off('SIGHUP', onHangup)
    log.flush()
    process.stderr.write(`weir: ${WeirError.from(error).message}\n`)
    return 1
  }
  reloader = new Reloader(system, log)
  for (const { option, address } of system.listeners.views)
    log.probe.notice?.('info', `${option} is open at ${address}`, { event: 'listening', option, address })
  if (!ending.signal.aborted) {
    log.probe.notice?.('info', 'weir is serving', { event: 'serving', file: config.file })
    if (missed !== undefined) reloader.reload(missed)
    options.onServing?.()
  }

  const signal = await told
  reloader.stop()
  const { drainTimeoutMs } = system.config
  log.probe.notice?.('info', `${signal}: draining, at most ${drainTimeoutMs} ms`, { event: 'draining' })
  await system.drain(drainTimeoutMs)
  log.probe.notice?.('info', 'drained', { event: 'drained' })
  process.off('SIGHUP', onHangup)
  log.flush()
  return 0
}

/** Resolves with the first signal to end, and aborts `ending`. The second one ends the process without waiting for anything. */
function untilTold(log: Log, ending: AbortController): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let isTold = false
    const onSignal = (signal: NodeJS.Signals): void => {
      if (isTold) {
        log.flush()
        process.exit(128 + constants.signals[signal])
      }
      isTold = true
      ending.abort()
      resolve(signal)
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
  })
}
