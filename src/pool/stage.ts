/**
 * `configuring`: has not acknowledged its configuration and carries nothing yet. `ready`: may be picked. `retiring`:
 * serves only requests that already have events on it. `gone`: carries nothing.
 */
export type Stage = 'configuring' | 'ready' | 'retiring' | 'gone'
