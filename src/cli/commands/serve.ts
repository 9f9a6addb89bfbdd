import { type Command, InvalidArgumentError } from 'commander'
import { withExamples } from '../examples.ts'

interface ServeOptions {
  readonly config: string
  readonly waitForAgents?: number
}

/** `serve`: the daemon in the foreground. */
export function addServeCommand(program: Command): void {
  const serve = program
    .command('serve')
    .description('run the daemon in the foreground; logs go to standard output as JSON')
    .option('-c, --config <file>', 'configuration file', 'weir.yaml')
    .option(
      '--wait-for-agents <ms>',
      'take requests only once every agent is connected, at most this long',
      milliseconds,
    )
    .action(async (options: ServeOptions) => {
      const { serve } = await import('../../daemon/serve.ts')
      process.exitCode = await serve({ file: options.config, waitForAgentsMs: options.waitForAgents ?? 0 })
    })
  withExamples(serve, 'weir serve -c weir.yaml --wait-for-agents 5000')
}

function milliseconds(text: string): number {
  const value = Number(text)
  if (!Number.isFinite(value) || value <= 0)
    throw new InvalidArgumentError('expected a number of milliseconds > 0')
  return value
}
