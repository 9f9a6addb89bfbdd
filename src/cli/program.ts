import { Command, CommanderError } from 'commander'
import { WeirError } from '../core/errors.ts'
import { VERSION } from '../core/version.ts'
import { addBanCommands } from './commands/bans.ts'
import { addChangeCommands } from './commands/changes.ts'
import { addCheckCommand } from './commands/check.ts'
import { addConfigCommands } from './commands/config.ts'
import { addDemoCommand } from './commands/demo.ts'
import { addLimitCommands } from './commands/limits.ts'
import { addPushCommands } from './commands/pushes.ts'
import { addServeCommand } from './commands/serve.ts'
import { addSessionCommands } from './commands/sessions.ts'
import { addViewCommands } from './commands/views.ts'
import { EXIT, exitCodeOf } from './exit-code.ts'
import { printError } from './output.ts'

function weirProgram(): Command {
  const program = new Command('weir')
    .description('The gate between HTTP proxies and the agents that decide on their traffic.')
    .version(VERSION)
    .exitOverride()
    .showHelpAfterError('(weir --help shows the commands)')
    .addHelpText(
      'after',
      '\nweir COMMAND --help shows examples.\nExit codes: 0 ok, 1 the answer is no, 2 wrong usage or configuration, 3 no daemon at the admin address.',
    )
  addServeCommand(program)
  addCheckCommand(program)
  addDemoCommand(program)
  addViewCommands(program)
  addLimitCommands(program)
  addSessionCommands(program)
  addBanCommands(program)
  addChangeCommands(program)
  addPushCommands(program)
  addConfigCommands(program)
  return program
}

/** Runs one command line and returns the exit code. */
export async function run(argv: readonly string[]): Promise<number> {
  try {
    await weirProgram().parseAsync(argv, { from: 'user' })
    return Number(process.exitCode ?? EXIT.ok)
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.ok : EXIT.usage
    const error = WeirError.from(thrown)
    printError(argv.includes('--json'), error.code, error.message)
    return exitCodeOf(error)
  }
}
