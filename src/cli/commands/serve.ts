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

/** Longest timer there is, milliseconds. */
const LONGEST_MS = 2_147_483_647

function milliseconds(text: string): number {
  const value = Number(text)
  if (!(value > 0 && value <= LONGEST_MS))
    throw new InvalidArgumentError(`expected a number of milliseconds above 0, at most ${LONGEST_MS}`)
  return value
}
