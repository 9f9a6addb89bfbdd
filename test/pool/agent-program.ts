import { serveUds } from '../../src/sdk/serve.ts'

/* A real agent in a process of its own: `node agent-program.js SOCKET`. It answers everything but "/hang". */
const [path = ''] = process.argv.slice(2)
await serveUds(path, {
  name: 'waf',
  onRequestHeaders: (event) => (event.uri === '/hang' ? new Promise<undefined>(() => undefined) : undefined),
})
console.log('ready')
