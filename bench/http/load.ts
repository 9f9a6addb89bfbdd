import { execFile } from 'node:child_process'
import { Agent, request } from 'node:http'
import { promisify } from 'node:util'
import { closedLoop, type Starter } from '../harness/load.ts'

export interface HttpFigures {
  readonly perSecond: number
  readonly p99Ms: number
}

const CONNECTIONS = 16
const run = promisify(execFile)

/** Whether `wrk` can be run here. */
export async function hasWrk(): Promise<boolean> {
  try {
    await run('wrk', ['-v'])
    return true
  } catch (error) {
    /* wrk exits with 1 after telling its version. */
    return (error as { code?: unknown }).code === 1
  }
}

/** Keeps 16 connections busy. Throws when a request failed or got another status than 2xx. */
export async function loadWithWrk(url: string, seconds: number): Promise<HttpFigures> {
  const { stdout } = await run('wrk', ['-t1', `-c${CONNECTIONS}`, `-d${seconds}s`, '--latency', url])
  if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`requests failed: ${stdout}`)
  const perSecond = /Requests\/sec:\s+([\d.]+)/.exec(stdout)
  const p99 = /99%\s+([\d.]+)(us|ms|s)/.exec(stdout)
  if (perSecond === null || p99 === null) throw new Error(`wrk said: ${stdout}`)
  const unit = p99[2] === 'us' ? 0.001 : p99[2] === 's' ? 1000 : 1
  return { perSecond: Number(perSecond[1]), p99Ms: Number(p99[1]) * unit }
}

/** The same in this process, where wrk is absent: slower, so the ratio is softer. */
export async function loadHere(url: string, seconds: number): Promise<HttpFigures> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
  const start: Starter = (settled) => {
    request(url, { agent }, (response) => {
      response.resume().on('end', () => settled(response.statusCode === 200))
    })
      .on('error', () => settled(false))
      .end()
  }
  const figures = await closedLoop(start, CONNECTIONS, seconds * 1000)
  agent.destroy()
  if (figures.failed > 0) throw new Error(`${figures.failed} of ${figures.done} requests failed`)
  return figures
}
