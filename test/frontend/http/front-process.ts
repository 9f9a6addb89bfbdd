import type { AddressInfo } from 'node:net'
import { HttpFrontend } from '../../../src/frontend/http/http-frontend.ts'
import type { BodyPlan } from '../../../src/proxy/chain.ts'
import { ScriptedDispatcher, scriptedChain } from '../../support/scripted-dispatcher.ts'

/* A front end in a process of its own, so that its memory can be watched. Tells its memory when asked. */
const [upstream, how] = process.argv.slice(2)
const plan: BodyPlan = { mode: 'stream', maxBytes: 1 << 30, onTooLarge: 'reject' }
const dispatcher = new ScriptedDispatcher()
/* Notes nothing: the events hold the bodies. */
dispatcher.events.push = () => 0
const chain =
  how === 'inspected'
    ? scriptedChain({
        wants: ['request-body-chunk', 'response-body-chunk'],
        requestBody: plan,
        responseBody: plan,
      })
    : scriptedChain()
const frontend = new HttpFrontend({
  dispatcher,
  routes: [{ name: 'all', path: '/*', upstream: upstream!, chain }],
})
const { port } = (await frontend.listen({ host: '127.0.0.1', port: 0 })) as AddressInfo
process.on('message', () => process.send!({ rss: process.memoryUsage().rss }))
process.on('disconnect', () => process.exit(0))
process.send!({ port })
