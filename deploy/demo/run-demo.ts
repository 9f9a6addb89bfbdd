import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Child } from './child.ts'
import { describeLogLine } from './decisions.ts'
import { checkPort } from './free-port.ts'
import { instructions } from './instructions.ts'
import { untilReady } from './until-ready.ts'
import { startUpstream } from './upstream.ts'

export interface DemoOptions {
  /** Port of Weir on 127.0.0.1; 0: any free one. */
  readonly port: number
}

/** The configuration stands beside the sources; the compiled demo runs from `dist/deploy/demo`. */
const CONFIG = fileURLToPath(new URL('../../../deploy/demo/weir.yaml', import.meta.url))

/** How often the demo looks whether the process that started it is still there, milliseconds. */
const PARENT_CHECK_MS = 500

/** Runs the demo until it is told to end. Resolves with the exit code, everything it started gone. */
export async function runDemo(options: DemoOptions): Promise<number> {
  const port = await checkPort(options.port)
  if (typeof port === 'string') {
    process.stderr.write(`weir demo: ${port}\n`)
    return 1
  }
  const folder = await mkdtemp(join(tmpdir(), 'weir-demo-'))
  const stopped = untilTold()
  const upstream = await startUpstream()
  const children: Child[] = []
  let code = 0
  try {
    await Promise.race([startAll(folder, port, upstream.port, children), stopped])
    await stopped
  } catch (error) {
    process.stderr.write(`weir demo: ${(error as Error).message}\n`)
    code = 1
  }
  for (const child of children) child.release()
  /* Weir first: it finishes what is in flight while its agents still answer. */
  for (const child of children.toReversed()) await child.stop()
  await upstream.close()
  await rm(folder, { recursive: true, force: true })
  return code
}

async function startAll(
  folder: string,
  port: number,
  upstreamPort: number,
  children: Child[],
): Promise<void> {
  const token = randomBytes(24).toString('hex')
  const ports = { waf: 0 }
  const crashed = (name: string, detail: string): void => say(`${name} ${detail}; starting it again`)
  const child = (
    name: string,
    module: string,
    environment: () => Record<string, string>,
    args: string[] = [],
  ): Child => {
    const made = new Child({
      name,
      module,
      args,
      environment,
      onLine: (from, line) => say(from === 'weir' ? describeLogLine(line) : `${from}: ${line}`),
      onCrash: crashed,
    })
    children.push(made)
    return made
  }

  const waf = child('waf', './agents/waf.js', () => ({ WEIR_DEMO_WAF_PORT: String(ports.waf) }))
  const auth = child('auth', './agents/auth.js', () => ({ WEIR_DEMO_AUTH_SOCKET: join(folder, 'auth.sock') }))
  const pii = child('pii', './agents/pii.js', () => ({
    WEIR_DEMO_REVERSE_SOCKET: join(folder, 'agents.sock'),
    WEIR_DEMO_PII_TOKEN: token,
  }))
  const [{ port: wafPort = 0 }] = await Promise.all([waf.start(), auth.start()])
  ports.waf = wafPort

  const weir = child(
    'weir',
    './weir-process.js',
    () => ({
      WEIR_DEMO_PORT: String(port),
      WEIR_DEMO_DIR: folder,
      WEIR_DEMO_WAF_PORT: String(ports.waf),
      WEIR_DEMO_UPSTREAM_PORT: String(upstreamPort),
      WEIR_DEMO_PII_TOKEN_SHA256: createHash('sha256').update(token).digest('hex'),
    }),
    [CONFIG, folder],
  )
  const adminSocket = join(folder, 'admin.sock')
  await weir.start()
  await pii.start()
  await untilReady(adminSocket)
  process.stdout.write(instructions(port, adminSocket))
}

function say(line: string | undefined): void {
  if (line !== undefined) process.stdout.write(`${line}\n`)
}

/** Resolves at the first Ctrl-C or SIGTERM, or when the process that started us is gone. */
function untilTold(): Promise<void> {
  return new Promise((resolve) => {
    process.on('SIGINT', resolve)
    process.on('SIGTERM', resolve)
    process.on('SIGHUP', resolve)
    process.on('disconnect', resolve)
    /* Nobody reads what we print any more. */
    process.stdout.on('error', () => resolve())
    const parent = process.ppid
    setInterval(() => process.ppid !== parent && resolve(), PARENT_CHECK_MS).unref()
  })
}
