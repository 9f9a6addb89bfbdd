import { type Answer, allow, block, headerOf, serveGrpc } from '../../../src/index.ts'
import { untilStopped } from '../child-side.ts'
import { attacksIn } from './attack-patterns.ts'

/* Blocks SQL injection and script tags in path, query and body. Served over gRPC. */

function verdictOn(text: string, isForm: boolean): Answer {
  const rules = attacksIn(text, isForm)
  if (rules.length === 0) return allow()
  return block(403, 'Blocked by the demo WAF.\n', { 'content-type': 'text/plain' })
    .addTag('waf')
    .addRule(...rules)
}

const { WEIR_DEMO_WAF_PORT = '0' } = process.env
const server = await serveGrpc(`127.0.0.1:${WEIR_DEMO_WAF_PORT}`, {
  name: 'waf',
  version: '1.0.0',
  onRequestHeaders(event) {
    /* What cannot be read cannot be judged: a compressed attack would pass. */
    const encoding = headerOf(event.headers, 'content-encoding') ?? 'identity'
    if (encoding !== 'identity') return block(415, 'The demo WAF reads plain bodies only.\n').addTag('waf')
    return verdictOn(event.uri, true)
  },
  /* Weir holds the whole body for us (body.mode: buffer), so nothing hides between two chunks. */
  onRequestBody: (chunk) => verdictOn(Buffer.from(chunk.data).toString('utf8'), true),
})
untilStopped(() => server.close(), { port: server.port })
