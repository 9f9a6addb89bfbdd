import { rm } from 'node:fs/promises'
import { serve } from '../../src/daemon/serve.ts'

/*
 * Weir as the demo's child: `weir serve`, and the end of the demo is its end. It leaves last, so it removes the
 * folder of sockets and of the database when the demo itself was killed and cannot.
 */
const [file = '', folder = ''] = process.argv.slice(2)
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'))
const code = await serve({ file, waitForAgentsMs: 0, onServing: () => process.send?.({ ready: true }) })
if (!process.connected) await rm(folder, { recursive: true, force: true, maxRetries: 5 })
process.exit(code)
