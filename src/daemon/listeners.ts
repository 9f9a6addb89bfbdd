import type { ListenerView } from '../admin/views.ts'
import { WeirError } from '../core/errors.ts'

interface Opened {
  readonly view: ListenerView
  readonly close: () => Promise<void>
}

/** The open listeners by the option that asked for them. */
export class Listeners {
  readonly #opened: Opened[] = []

  get views(): readonly ListenerView[] {
    return this.#opened.map(({ view }) => view)
  }

  /**
   * Opens one listener.
   * @throws WeirError one sentence that names the option and the address, and what to do
   */
  async open<T>(
    option: string,
    address: string,
    listen: () => Promise<T>,
    describe: (opened: T) => { readonly address: string; readonly close: () => Promise<void> },
  ): Promise<T> {
    let opened: T
    try {
      opened = await listen()
    } catch (thrown) {
      throw explain(option, address, thrown)
    }
    const { address: bound, close } = describe(opened)
    this.#opened.push({ view: { option, address: bound }, close })
    return opened
  }

  /** Closes listeners whose option passes; the newest first. */
  async close(wanted: (option: string) => boolean = () => true): Promise<void> {
    for (const opened of this.#opened.toReversed()) {
      if (!wanted(opened.view.option)) continue
      this.#opened.splice(this.#opened.indexOf(opened), 1)
      await opened.close()
    }
  }
}

function explain(option: string, address: string, thrown: unknown): WeirError {
  const error = WeirError.from(thrown, 'UNAVAILABLE')
  const root = rootOf(thrown)
  const isTaken = error.code === 'CONFLICT' || ('code' in root && root.code === 'EADDRINUSE')
  const why = isTaken
    ? `${address} is in use; stop what listens there or change ${option}`
    : `cannot listen on ${address}: ${root.message}`
  return new WeirError(isTaken ? 'CONFLICT' : 'UNAVAILABLE', `${option}: ${why}`, { cause: thrown })
}

/** The system's own error under those that were wrapped around it. */
function rootOf(thrown: unknown): Error {
  if (!(thrown instanceof Error)) return new Error(String(thrown))
  return thrown.cause instanceof Error ? rootOf(thrown.cause) : thrown
}
