import { rm } from 'node:fs/promises'
import { run } from '../../src/cli/program.ts'

/*
 * Weir as the demo's child: `weir serve`, and the end of the demo is its end. It leaves last, so it removes the
 * folder of sockets and of the database when the demo itself was killed and cannot.
 */
const [file = '', folder = ''] = process.argv.slice(2)
/* A terminal sends Ctrl-C to the whole group; the demo decides when its children end. */
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'))
const code = await run(['serve', '-c', file])
if (!process.connected) await rm(folder, { recursive: true, force: true })
process.exit(code)
