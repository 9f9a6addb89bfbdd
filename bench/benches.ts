import type { BenchOptions, BenchResult } from './harness/result.ts'

interface Bench {
  run(options: BenchOptions): Promise<BenchResult>
}

/** Every benchmark by the name it is asked for; loaded only when asked. */
export const BENCHES: Readonly<Record<string, () => Promise<Bench>>> = {
  'pool-uds': () => import('./pool-uds.ts'),
  'pool-grpc': () => import('./pool-grpc.ts'),
  'pool-peer': () => import('./pool-peer.ts'),
  'agent-peer': () => import('./agent-peer.ts'),
  'pool-reverse': () => import('./pool-reverse.ts'),
  tail: () => import('./tail.ts'),
  growth: () => import('./growth.ts'),
  body: () => import('./body.ts'),
  memory: () => import('./memory.ts'),
  pick: () => import('./pick.ts'),
  http: () => import('./http.ts'),
  limiter: () => import('./limiter.ts'),
  store: () => import('./store.ts'),
  encode: () => import('./encode.ts'),
}
