/**
 * Events at once on one connection: what the operator configured, or less when the agent announced less. Agents
 * announce a limit and a concurrency feature; 0 (or nonsense) means "not stated". Never below 1.
 */
export function concurrencyLimit(
  configured: number,
  announcedLimit: number,
  announcedFeature: number,
): number {
  let limit = configured
  if (announcedLimit > 0 && announcedLimit < limit) limit = announcedLimit
  if (announcedFeature > 0 && announcedFeature < limit) limit = announcedFeature
  return Math.max(1, Math.floor(limit))
}
