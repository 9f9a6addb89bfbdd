/**
 * Asks `read` once for all who ask in the same turn of the event loop, as the series of one scrape do: a figure that
 * takes a walk through thousands of limits is not to be made for each series anew.
 */
export function oncePerTurn<Facts>(read: () => Facts): () => Facts {
  let known: { readonly facts: Facts } | undefined
  return () => {
    if (known === undefined) {
      known = { facts: read() }
      queueMicrotask(() => {
        known = undefined
      })
    }
    return known.facts
  }
}
