import { z } from 'zod'
import { parseAddress, parseReverseAddress } from './addresses.ts'
import { agentSchema, defaultsSchema } from './agent-schema.ts'
import { choice, count, durationMs, expected, flag, list, number, parsed, section, text } from './fields.ts'
import { httpSchema } from './http-schema.ts'

/** Where bans, limits and sessions are kept when nothing is said, beside the configuration file. */
export const DEFAULT_STORAGE_PATH = 'weir.db'

const address = (what: string, example: string) =>
  parsed(parseAddress, 'host:port or unix:path', example, `Address of ${what}.`)

const reverseAddress = parsed(
  parseReverseAddress,
  'unix:path, tcp://host:port or tls://host:port',
  'unix:./run/agents.sock',
  'Address agents dial.',
)

const reverseListener = z.union(
  [
    reverseAddress,
    section(
      {
        address: reverseAddress,
        cert: text('a path to a PEM file', './weir.pem', 'Server certificate (tls://).').optional(),
        key: text('a path to a PEM file', './weir.key', 'Private key (tls://).').optional(),
        clientCa: text(
          'a path to a PEM file',
          './agents-ca.pem',
          'CA of the client certificates; agents must then present one (tls://).',
        ).optional(),
      },
      'An address agents dial, with its certificates.',
    ),
  ],
  { error: expected('an address or a mapping with address', 'unix:./run/agents.sock') },
)

const adminListener = z.union(
  [
    address('the admin API', '127.0.0.1:9901'),
    section(
      {
        address: address('the admin API', '127.0.0.1:9901'),
        allowRemote: flag(
          'Allow an address other machines can reach. It has no login. Default false.',
        ).optional(),
      },
      'The admin API.',
    ),
  ],
  { error: expected('an address or a mapping with address', '127.0.0.1:9901') },
)

const listen = section(
  {
    http: address('the HTTP reverse proxy', '127.0.0.1:8080').optional(),
    grpc: address('the agent protocol over gRPC, for proxies', '127.0.0.1:50051').optional(),
    socket: address('the agent protocol on a Unix socket, for proxies', 'unix:./run/weir.sock').optional(),
    reverse: list(
      reverseListener,
      'addresses',
      '[unix:./run/agents.sock]',
      'Where agents dial in.',
    ).optional(),
    admin: adminListener.optional(),
    socketMode: choice(
      ['0600', '0660'],
      'Mode of the socket files of socket and reverse: this user, or its group too. Default 0600.',
    ).optional(),
  },
  'Where Weir listens.',
)

const route = section(
  {
    name: text('a name', 'api', 'Name in logs and metrics. Default: the path.').optional(),
    match: section(
      {
        host: text('a host name', 'api.example.com', 'Host; *.example.com takes all below it.').optional(),
        path: z
          .string({ error: expected('a path', '/api/*') })
          .regex(/^\/[^?#]*$/, { error: expected('a path that begins with /, without query', '/api/*') })
          .meta({ description: 'Path; a trailing * takes everything below.', examples: ['/api/*'] }),
      },
      'Which requests take this route. The most specific match wins.',
    ),
    upstream: z
      .string({ error: expected('an http:// or https:// origin', 'http://127.0.0.1:3000') })
      .refine((origin) => /^https?:\/\/[^/?#\s@]+\/?$/.test(origin) && URL.canParse(origin), {
        error: expected('an http:// or https:// origin without user and path', 'http://127.0.0.1:3000'),
      })
      .meta({ description: 'Where the HTTP front end forwards.', examples: ['http://127.0.0.1:3000'] })
      .optional(),
    agents: list(
      text('the name of an agent', 'waf', 'An agent of the agents section.'),
      'agent names',
      '[auth, waf]',
      'Agents to ask, in order.',
    ),
    parallel: flag('Ask the agents at once instead of one after another. Default false.').optional(),
  },
  'One route.',
)

const AGENT_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

/** The whole file, as written: option names, types and ranges. Cross references are checked afterwards. */
export const configSchema = section(
  {
    listen,
    http: httpSchema.optional(),
    sessionKey: z
      .string({ error: expected('client-address, header:NAME or cookie:NAME', 'header:x-user') })
      .regex(/^(client-address|header:[a-z0-9-]+|cookie:[!#$%&'*+.^_`|~0-9A-Za-z-]+)$/, {
        error: expected('client-address, header:NAME (lower case) or cookie:NAME', 'header:x-user'),
      })
      .meta({
        description: 'What names the session of a request, for sticky agents. Default: nothing.',
        examples: ['cookie:sid'],
      })
      .optional(),
    storage: section(
      {
        path: text(
          'a path',
          './weir.db',
          'SQLite file of bans, limits and sessions. Default ./weir.db.',
        ).optional(),
        maxBuckets: count(
          1,
          10_000_000,
          100_000,
          'Rate-limit buckets kept in memory. Default 100,000.',
        ).optional(),
        onFailure: choice(
          ['memory-only', 'deny', 'allow'],
          'Rate limits while the file cannot be used: count in memory, deny or allow. Default memory-only.',
        ).optional(),
        batches: choice(
          ['adaptive', 'fixed'],
          'Whether buckets are written in smaller pieces while the process is loaded. Default adaptive.',
        ).optional(),
      },
      'Durable facts.',
    ).optional(),
    defaults: defaultsSchema.optional(),
    agents: z
      .record(
        z.string().regex(AGENT_NAME, {
          error: 'expected an agent name of letters, digits, ".", "_" and "-", at most 64; example: waf',
        }),
        agentSchema,
        {
          error: expected('a mapping of agent names to agents', 'waf: { endpoint: grpc://127.0.0.1:50061 }'),
        },
      )
      .meta({ description: 'Agents by name.' })
      .optional(),
    routes: list(route, 'routes', '[{ match: { path: /* }, agents: [waf] }]', 'Routes.').optional(),
    drainTimeoutMs: durationMs(30_000, 'Time for requests in flight at shutdown. Default 30,000.').optional(),
    drainDelayMs: durationMs(
      5000,
      'Time between "not ready" and closing the listeners, for load balancers to notice. Default 0.',
    ).optional(),
    maxOpenRequests: count(1, 10_000_000, 10_000, 'Requests open at once. Default 10,000.').optional(),
    overload: section(
      {
        minInFlight: count(
          1,
          1_000_000,
          50,
          'Requests at agents that are always allowed. Default 50.',
        ).optional(),
        maxInFlight: count(
          1,
          1_000_000,
          10_000,
          'Requests at agents that are never exceeded. Default 10,000.',
        ).optional(),
        loopLagMs: durationMs(
          20,
          'Lateness of the event loop that counts as full load. Default 20.',
        ).optional(),
        utilization: number(
          0.05,
          1,
          0.95,
          'Share of the time in which the event loop is busy that counts as full load. Default 1: a busy loop alone refuses nothing.',
        ).optional(),
        queueMs: durationMs(50, 'Wait for a connection that counts as full load. Default 50.').optional(),
      },
      'Refuse new requests while measured load is beyond these targets (503). Absent: off.',
    ).optional(),
    log: section(
      {
        level: choice(
          ['info', 'debug', 'warn', 'error', 'silent'],
          'Least level written. Default info.',
        ).optional(),
        sampleAllows: number(
          0,
          1,
          0.1,
          'Share of plain allows that get an access line; everything else always does. Default 1.',
        ).optional(),
      },
      'Log lines on standard output, JSON.',
    ).optional(),
  },
  'Configuration of Weir.',
)

/** What the file says, checked and typed, nothing filled in yet. */
export type ConfigInput = z.output<typeof configSchema>

/** JSON Schema (draft 2020-12) of the file, for editors. */
export function configJsonSchema(): Record<string, unknown> {
  return { title: 'weir.yaml', ...z.toJSONSchema(configSchema, { io: 'input' }) }
}
