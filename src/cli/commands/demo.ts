import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { WeirError } from '../../core/errors.ts'
import { withExamples } from '../examples.ts'

/** The demo lives beside the sources, built with them: `dist/deploy/demo`. */
const DEMO = new URL('../../../deploy/demo/run-demo.js', import.meta.url)

interface DemoModule {
  readonly runDemo: (options: { readonly port: number }) => Promise<number>
}

/** `demo`: an upstream, Weir and three agents on this machine. */
export function addDemoCommand(program: Command): void {
  const demo = program
    .command('demo')
    .description('run Weir with an upstream and three agents on this machine, until Ctrl-C')
    .option('--port <port>', 'port of Weir', process.env['WEIR_DEMO_PORT'] ?? '8080')
    .action(async (options: { readonly port: string }) => {
      const port = Number(options.port)
      if (!Number.isInteger(port) || port < 0 || port > 65_535)
        throw new WeirError(
          'INVALID_ARGUMENT',
          `--port: expected a port from 0 to 65535, got "${options.port}"`,
        )
      if (!existsSync(fileURLToPath(DEMO)))
        throw new WeirError(
          'NOT_FOUND',
          'the demo is not part of this installation; use a clone of the repository',
        )
      const { runDemo } = (await import(DEMO.href)) as DemoModule
      process.exitCode = await runDemo({ port })
    })
  withExamples(demo, 'weir demo --port 9080')
}
