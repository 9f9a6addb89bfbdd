import type { AddressInfo } from 'node:net'
import { systemClock } from '../../src/core/clock.ts'
import { SILENT } from '../../src/core/probe.ts'
import { TimerWheel } from '../../src/core/timer-wheel.ts'
import { HttpFrontend } from '../../src/frontend/http/http-frontend.ts'
import { AgentDispatcher } from '../../src/proxy/agent-dispatcher.ts'
import { AgentChain } from '../../src/proxy/chain.ts'

/* Our front end with the real dispatcher and a chain without agents. */
const dispatcher = new AgentDispatcher({
  clock: systemClock,
  wheel: new TimerWheel(systemClock),
  probe: SILENT,
  limits: undefined,
})
const frontend = new HttpFrontend({
  dispatcher,
  routes: [{ name: 'all', path: '/*', upstream: process.argv[2]!, chain: new AgentChain('all', []) }],
})
const { port } = (await frontend.listen({ host: '127.0.0.1', port: 0 })) as AddressInfo
console.log(`listening ${port}`)
