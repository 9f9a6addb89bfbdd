import { allow, challenge, headerOf, redirect, serveUds } from '../../../src/index.ts'
import { untilStopped } from '../child-side.ts'
import { requestPath } from './request-path.ts'

/* Guards /admin with a bearer token and moves /login-old. Served on a Unix socket. */

const { WEIR_DEMO_AUTH_SOCKET = './auth.sock' } = process.env
const server = await serveUds(WEIR_DEMO_AUTH_SOCKET, {
  name: 'auth',
  version: '1.0.0',
  onRequestHeaders(event) {
    const path = requestPath(event.uri)
    if (path === '/login-old') return redirect('/login', 302)
    if (path !== '/admin' && !path.startsWith('/admin/')) return allow()
    if (headerOf(event.headers, 'authorization') === 'Bearer demo') return allow()
    return challenge('bearer', { 'www-authenticate': 'Bearer realm="demo"' })
  },
})
untilStopped(() => server.close())
